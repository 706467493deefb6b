package spool

import (
	"testing"
)

func TestSpoolFitsIntoThirtyTwoBits(t *testing.T) {
	if DefaultMB(32) != 512 || MaxMB(32) != 512 || DefaultMB(64) != 1024 {
		t.Errorf("%d, at most %d; %d", DefaultMB(32), MaxMB(32), DefaultMB(64))
	}
	if MaxMB(WordBits) < DefaultMB(WordBits) {
		t.Error("the default is not allowed")
	}
}
