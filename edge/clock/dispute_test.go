package clock

import (
	"testing"
	"time"

	"sunspool/edge/spool"
)

// Two clocks that differ are one alarm until the server says something else, not one at each answer.
func TestDisputedClockIsOneAlarm(t *testing.T) {
	for _, trust := range []bool{true, false} {
		w := newWorld(t)
		w.clock.Trust = trust
		w.polls(3)
		w.hear(-time.Hour, 0)
		for range 20 {
			w.truth = w.truth.Add(5 * time.Second)
			if err := w.clock.Check(); !hasCode(err, "clock_disputed") {
				t.Fatalf("believed %v: %v", trust, err)
			}
		}
		if w.ahead = -time.Hour; trust { // it was this host's
			w.clock.Check()
		}
		w.hear(map[bool]time.Duration{true: -time.Hour, false: 0}[trust], 0)
		if !trust {
			w.ahead = 0
		}
		if err := w.clock.Check(); err != nil {
			t.Errorf("believed %v: %v", trust, err)
		}
	}
}

// An operator who believed a clock and does not any more gets none of its times.
func TestClockIsNotBelievedAfterItWas(t *testing.T) {
	w := newWorld(t)
	w.boot(-year, false)
	w.clock.Trust = true
	w.polls(1)
	if err := w.spool.Anchor(w.clock.boot, spool.Anchor{Taken: w.clock.Host.Up(), Start: noon.UnixNano(), Quality: spool.Believed}); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.polls(3)
	if w.spool.Undated() != 3 || w.clock.State() != "unsynced" {
		t.Errorf("%d of 3 samples are held, the clock is %s", w.spool.Undated(), w.clock.State())
	}
}
