package donglelock

import (
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"

	"sunspool/health"
)

// dongleAt is a dongle that takes connections.
func dongleAt(t *testing.T, address string) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// A dongle that is dialled by its name is locked by its address as well, for whoever knows it by that, and by another name; the one
// that has the lock is not in its own way, and leaves it when the name leads elsewhere.
func TestDongleIsLockedByTheAddressThatIsDialled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks that we know of")
	}
	port := dongleAt(t, "127.0.0.1:0")
	log := slog.New(slog.DiscardHandler)
	first, second := NewAddresses("winet.local", port, []string{"roof"}), NewAddresses("dongle.lan", port, []string{"garage"})
	dial := func(a *Addresses, host string) error {
		conn, err := a.DialContext(t.Context(), "tcp", lockName(host, port)[len(prefix):])
		if err == nil {
			conn.Close()
		}
		return err
	}
	for range 2 { // it connects again
		if err := dial(first, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(what string, err error) {
		t.Helper()
		f, ok := errors.AsType[*health.Fault](err)
		if !ok || f.Code != "dongle_busy" || f.Exit != health.ExitBusy || !strings.Contains(f.Why, "roof") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("by another name", dial(second, "127.0.0.1"))
	_, err := Claim("127.0.0.1", port, []string{"barn"}, log)
	refused("by the address", err)

	elsewhere := dongleAt(t, lockName("127.0.0.2", port)[len(prefix):])
	if err := dial(first, "127.0.0.2"); err != nil || elsewhere != port {
		t.Fatal(err)
	}
	if err := dial(second, "127.0.0.1"); err != nil {
		t.Errorf("the address that was left is locked: %v", err)
	}
	refused("where it is now", dial(second, "127.0.0.2")) // and has left the other one
	if err := dial(first, "127.0.0.1"); err != nil {
		t.Errorf("two that exchange their addresses lock each other out: %v", err)
	}
	first.Release()
	if err := dial(second, "127.0.0.1"); err != nil {
		t.Errorf("after the end of the first: %v", err)
	}
	second.Release()
	release, err := Claim("127.0.0.1", port, []string{"barn"}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := dial(NewAddresses("127.0.0.1", port, []string{"barn"}), "127.0.0.1"); err != nil {
		t.Errorf("an edge is in its own way: %v", err)
	}
}
