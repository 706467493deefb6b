package edge

import (
	"testing"
)

func TestSpoolFitsIntoThirtyTwoBits(t *testing.T) {
	if defaultSpoolMB(32) != 512 || maxSpoolMB(32) != 512 || defaultSpoolMB(64) != 1024 {
		t.Errorf("%d, at most %d; %d", defaultSpoolMB(32), maxSpoolMB(32), defaultSpoolMB(64))
	}
	if maxSpoolMB(wordBits) < defaultSpoolMB(wordBits) {
		t.Error("the default is not allowed")
	}
}
