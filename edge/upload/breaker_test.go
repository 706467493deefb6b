package upload

import (
	"testing"
	"testing/synctest"
	"time"
)

// The brake forgets by time alone, too, and does not while refusals go on.
func TestBreakerForgetsAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker
		b.refused(breakerLimit + 1)
		time.Sleep(59 * time.Minute)
		if b.resetIfRecovered() || !b.open() {
			t.Error("it is off before an hour is over")
		}
		b.refusedAgain()
		time.Sleep(59 * time.Minute)
		if b.resetIfRecovered() || !b.open() {
			t.Error("a refusal did not prolong it")
		}
		time.Sleep(2 * time.Minute)
		if !b.resetIfRecovered() || b.open() {
			t.Error("it is on an hour later")
		}
		b.refused(breakerLimit + 1)
		b.acceptedAll()
		b.acceptedAll()
		time.Sleep(2 * time.Minute)
		if b.resetIfRecovered() {
			t.Error("two good answers are enough")
		}
		b.acceptedAll()
		if !b.resetIfRecovered() || b.open() {
			t.Error("three good answers and a minute are not enough")
		}
	})
}
