package donglelock

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

// A dongle is the same by its name and by its address; two addresses are two dongles, and nothing is resolved for them.
func TestDongleIsTheSameByAnyName(t *testing.T) {
	asked := 0
	resolve := func(_ context.Context, host string) ([]netip.Addr, error) {
		asked++
		known := map[string]string{"winet.local": "192.168.1.7", "dongle.lan": "192.168.1.7", "other.local": "192.168.1.8", "192.168.1.7": "192.168.1.7", "192.168.1.8": "192.168.1.8"}
		if a := known[host]; a != "" {
			return []netip.Addr{netip.MustParseAddr(a)}, nil
		}
		return nil, errors.New("no such host")
	}
	for _, c := range []struct {
		host, held, want string
		asked            int
	}{
		{"192.168.1.7", "winet.local:502", "winet.local", 2}, {"winet.local", "192.168.1.7:502", "192.168.1.7", 2}, {"dongle.lan", "winet.local:502", "winet.local", 2},
		{"192.168.1.8", "winet.local:502", "", 2}, {"192.168.1.7", "192.168.1.8:502", "", 0}, {"winet.local", "WiNet.local.:502", "", 0},
		{"winet.local", "gone.local:502", "", 2}, {"gone.local", "winet.local:502", "", 1}, {"winet.local", "nonsense", "", 0},
	} {
		asked = 0
		if got := sameHost(t.Context(), c.host, []string{c.held}, resolve); got != c.want || asked != c.asked {
			t.Errorf("%s beside %s: %q after %d look-ups, want %q after %d", c.host, c.held, got, asked, c.want, c.asked)
		}
	}
}
