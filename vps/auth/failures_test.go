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
