package packaging

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	announce  = "SUNSPOOL_TEST_ANNOUNCE"
	announced = "192.168.77.9"
)

// byItsName gives the box a network in which a dongle answers to its name, and sets the edge up by that name: setup finds it as
// root, and the service from within its sandbox.
func (a appliance) byItsName() {
	a.sh("ip link add home0 type veth peer name home1 && ip addr add " + announced + "/24 dev home0 && ip link set home0 up && ip link set home1 up")
	a.simulates("dongle", announced+":1502", "--tz=UTC")
	responder := exec.Command("nsenter", "--target", strconv.Itoa(a.leader), "--net", os.Args[0], "-test.run=^TestAnnounce$")
	responder.Env = append(os.Environ(), announce+"=home0")
	if err := responder.Start(); err != nil {
		a.t.Fatal(err)
	}
	defer func() { responder.Process.Kill(); responder.Wait() }()
	a.eventually("the dongle takes what is asked in the network", func() error {
		groups := string(read(a.t, fmt.Sprintf("/proc/%d/net/igmp", a.leader)))
		if _, own, _ := strings.Cut(groups, "\thome0 "); !strings.Contains(own, "FB0000E0") { // 224.0.0.251
			return errors.New(groups)
		}
		return nil
	})
	out := a.run("sunspool", "setup", "--inverter=WiNet-WebServer.local:1502", "--yes")
	if !strings.Contains(out, "+ SUNGROW_HOST=WiNet-WebServer.local") || !strings.Contains(out, "The first samples of garage are at the server") {
		a.t.Errorf("%s", out)
	}
	a.shows(announced+": winet-webserver, read by an edge here", "sunspool", "probe")
}

// TestAnnounce is the dongle of byItsName, in a process of its own in the network of the box.
func TestAnnounce(t *testing.T) {
	name := os.Getenv(announce)
	if name == "" {
		t.Skip("this is a part of TestSetup")
	}
	link, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenMulticastUDP("udp4", link, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
	if err != nil {
		t.Fatal(err)
	}
	message, err := (&dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Answers: []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("WiNet-WebServer.local."), Class: dnsmessage.ClassINET, TTL: 120},
		Body:   &dnsmessage.AResource{A: netip.MustParseAddr(announced).As4()},
	}}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 9000)
	for {
		n, from, err := udp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if n > 2 && buffer[2]&0x80 == 0 { // a question
			udp.WriteToUDPAddrPort(message, from)
		}
	}
}
