package portholder

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A process that listens is named to who would listen in its place, and to nobody else.
func TestTheHolderOfAPortIsNamed(t *testing.T) {
	me := fmt.Sprintf("process %d (", os.Getpid())
	for _, c := range []struct {
		at, want string
		named    bool
	}{
		{"127.0.0.1", "127.0.0.1", true}, {"127.0.0.1", "::ffff:127.0.0.1", true}, {"127.0.0.1", "", true}, {"127.0.0.1", "0.0.0.0", true}, {"127.0.0.1", "::", true}, {"127.0.0.1", "localhost", true},
		{"127.0.0.1", "127.0.0.2", false}, {"127.0.0.1", "192.0.2.7", false}, {"", "192.0.2.7", true}, {"0.0.0.0", "127.0.0.1", true},
		{"::1", "::1", true}, {"::1", "127.0.0.1", false},
	} {
		l, err := net.Listen("tcp", net.JoinHostPort(c.at, "0"))
		if err != nil {
			t.Logf("SKIPPED: %v", err) // a host without IPv6
			continue
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		if got, ok := Of("", net.JoinHostPort(c.want, port)); strings.HasPrefix(got, me) != c.named || c.named && !ok {
			t.Errorf("%s listens, %s is wanted: %q, %v", l.Addr(), c.want, got, ok)
		}
		l.Close()
		if got, _ := Of("", net.JoinHostPort(c.want, port)); strings.HasPrefix(got, me) {
			t.Errorf("%s is closed: %q", l.Addr(), got)
		}
	}
}

// A process that cannot be seen is not invented, and neither is one where none listens.
func TestAHolderThatCannotBeSeenIsNotNamed(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/net"), 0o755); err != nil {
		t.Fatal(err)
	}
	const list = "  sl  local_address rem_address   st\n" +
		"   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n" +
		"   1: 0100007F:20FC 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n" +
		"   2: nonsense\n"
	if err := os.WriteFile(filepath.Join(root, "proc/net/tcp"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	for address, listens := range map[string]bool{"127.0.0.1:8443": true, "127.0.0.1:8444": false, "127.0.0.1:8445": false, "127.0.0.1:0": false, "nonsense": false, "127.0.0.1:x": false} {
		if got, ok := Of(root, address); got != Unknown || ok != listens {
			t.Errorf("%s: %q, %v, want %v", address, got, ok, listens)
		}
	}
}
