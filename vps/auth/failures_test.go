package auth

import (
	"fmt"
	"testing"
	"time"

	"sunspool/internal/vpstest"
)

// From however many networks wrong tokens come, few are remembered, and a full memory is not searched at each.
func TestFailuresOfManyNetworksAreBounded(t *testing.T) {
	var f Failures
	for i := range 3 * maxAddresses {
		f.Add(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), vpstest.Now.Add(time.Duration(i)*time.Millisecond))
	}
	if n := len(f.of); n > maxAddresses+1 {
		t.Errorf("%d are remembered", n)
	}
	if wait := f.Add("2001:db8:7::1", vpstest.Now.Add(20*time.Second)); wait == 0 {
		t.Error("one more network is not counted with the others")
	}
	if wait := f.Add("2001:db8:7::1", vpstest.Now.Add(5*time.Minute)); wait != 0 || len(f.of) > 2 {
		t.Errorf("after the window: %v, %d are remembered", wait, len(f.of))
	}
	for i := range 3 * maxAddresses {
		f.Add(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), vpstest.Now.Add(10*time.Minute))
	}
	if n := len(f.of); n > maxAddresses+1 {
		t.Errorf("%d addresses are remembered", n)
	}
}

// One address, in whatever form, is one caller; so is the part of IPv6 from which a host takes as many as it likes.
func TestNetworkOf(t *testing.T) {
	for remote, want := range map[string]string{
		"198.51.100.7:1": "198.51.100.7/32", "198.51.100.7": "198.51.100.7/32", "[::ffff:198.51.100.7]:1": "198.51.100.7/32", "::ffff:198.51.100.7": "198.51.100.7/32",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "2001:db8:1:2::9": "2001:db8:1:2::/64", "[fe80::7%eth0]:1": "fe80::/64", "[::1]:80": "::/64",
		"@": "invalid Prefix", "": "invalid Prefix", "host:1": "invalid Prefix",
	} {
		if got := NetworkOf(remote).String(); got != want {
			t.Errorf("%q: %s, want %s", remote, got, want)
		}
	}
}
