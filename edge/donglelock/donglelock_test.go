package donglelock

import (
	"strings"
	"testing"
)

// The lock is the dongle's: however its address is written, and no other's.
func TestLockOfADongleIsThatOfItsAddress(t *testing.T) {
	for _, same := range [][]string{
		{"WINET", "winet", "WiNet.", "winet."}, {"192.168.1.7", "::ffff:192.168.1.7", "::FFFF:c0a8:0107"},
		{"fe80::1%eth0", "FE80::1%eth0", "fe80:0:0:0:0:0:0:1%eth0"}, {"2001:db8::7", "2001:DB8:0::7"},
	} {
		for _, host := range same {
			if got, want := lockName(host, 502), lockName(same[0], 502); got != want {
				t.Errorf("%s has the lock %s, want %s", host, got, want)
			}
		}
	}
	seen := make(map[string]string)
	for _, host := range []string{"winet", "winet2", "192.168.1.7", "192.168.1.71", "fe80::1%eth0", "fe80::1%eth1", "::1", strings.Repeat("a", 63) + ".a", strings.Repeat("a", 63) + ".b"} {
		for _, port := range []int{502, 50, 1502} {
			name := lockName(host, port)
			if other := seen[name]; other != "" || len(name) > 100 {
				t.Errorf("%s and %s port %d share the lock %s", other, host, port, name)
			}
			seen[name] = host
		}
	}
}

// What another program wrote is not repeated.
func TestHolderOfADongleIsNamedByItsDevices(t *testing.T) {
	for text, want := range map[string]string{"roof": "process 7, device roof", "roof,garage": "process 7, device roof and garage", "": "process 7", "x\ny": "process 7", "<b>": "process 7"} {
		if got := withDevices("process 7", text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
