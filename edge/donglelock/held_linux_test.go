package donglelock

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// What edges of this machine read can be seen, and what cannot be seen is known to be there.
func TestHeldDonglesAreSeen(t *testing.T) {
	const host = "held-by-a-test.local"
	release, err := Claim(host, 1502, []string{"roof"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	addresses, _ := Held()
	if !slices.Contains(addresses, host+":1502") {
		t.Errorf("%v", addresses)
	}
	const list = `Num       RefCount Protocol Flags    Type St Inode Path
0000: 00000002 00000000 00010000 0001 01 1 @sunspool-dongle-192.168.1.7:502
0000: 00000002 00000000 00010000 0001 01 2 /run/systemd/notify
0000: 00000002 00000000 00010000 0001 01 3 @sunspool-dongle-[fe80::1%eth0]:502
`
	if addresses, hidden := heldIn(strings.NewReader(list)); hidden || !slices.Equal(addresses, []string{"192.168.1.7:502", "[fe80::1%eth0]:502"}) {
		t.Errorf("%v, %v", addresses, hidden)
	}
	if _, hidden := heldIn(strings.NewReader(list + "0 1 @sunspool-dongle-" + strings.Repeat("ab", 32) + "\n")); !hidden {
		t.Error("a long address is not known to be there")
	}
}
