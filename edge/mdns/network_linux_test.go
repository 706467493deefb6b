package mdns

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

const inNetwork = "SUNSPOOL_TEST_MDNS_NETWORK"

// On the kernel's own network: the question leaves by multicast over the interface, a device in it is found and dialled, and
// who answers from another network is not believed.
func TestDongleOfARealNetworkIsFound(t *testing.T) {
	if os.Getenv(inNetwork) == "" {
		runInNamespace(t)
		return
	}
	for _, args := range []string{"link set lo up", "addr add 10.99.0.1/32 dev lo", "link add home0 type veth peer name home1", "link set home1 up", "addr add 192.168.77.1/24 dev home0", "link set home0 up multicast on"} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED, NOTHING IS SHOWN: ip %s: %v %s", args, err, out)
		}
	}
	home0, err := net.InterfaceByName("home0")
	if err != nil {
		t.Fatal(err)
	}
	port := listen(t)
	group, err := net.ListenMulticastUDP("udp4", home0, net.UDPAddrFromAddrPort(group4))
	if err != nil {
		t.Fatal(err)
	}
	beside := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) })
		return err
	}}
	stranger, err := beside.ListenPacket(t.Context(), "udp4", "10.99.0.1:5353")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, maxPacket)
		for {
			n, from, err := group.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || m.Response {
				continue
			}
			stranger.WriteTo(answer(t, a("winet-webserver.local.", "192.168.77.66")), net.UDPAddrFromAddrPort(from))
			group.WriteToUDPAddrPort(answer(t, a("winet-webserver.local.", "192.168.77.1")), from)
		}
	}()
	defer func() { group.Close(); stranger.Close(); <-done }()

	var found []Dongle
	if !inTime(func() bool {
		found, err = new(Querier).Find(t.Context())
		return err == nil && len(found) == 1 && found[0].Addr == netip.MustParseAddr("192.168.77.1")
	}) {
		t.Errorf("%+v, %v", found, err)
	}
	var addrs []netip.Addr
	if !inTime(func() bool {
		addrs, err = new(Names).Resolve(t.Context(), "winet-webserver.local")
		return err == nil && slices.Equal(addrs, []netip.Addr{netip.MustParseAddr("192.168.77.1")})
	}) {
		t.Errorf("%v, %v", addrs, err)
	}
	if !inTime(func() bool {
		var conn net.Conn
		if conn, err = new(Names).DialContext(t.Context(), "tcp", net.JoinHostPort("WiNet-WebServer.local", port)); err == nil {
			conn.Close()
		}
		return err == nil
	}) {
		t.Error(err)
	}
}

// listen is the dongle's port.
func listen(t *testing.T) (port string) {
	l, err := net.Listen("tcp4", "192.168.77.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// runInNamespace runs the calling test again in a process with a network of its own.
func runInNamespace(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: only root can make a network to test on")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("SKIPPED, NOTHING IS SHOWN: iproute2 is missing")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), inNetwork+"=1")
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSPC):
		t.Skipf("SKIPPED, NOTHING IS SHOWN: no network of its own for a test: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
}
