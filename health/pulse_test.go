package health

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOneLoopThatStandsStillIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pulses
		busy, stuck := p.Loop("busy"), p.Loop("stuck")
		for range 10 {
			time.Sleep(pulseLimit / 10)
			busy.Beat(0)
			if name, _ := p.Stalled(); name != "" {
				t.Fatalf("%s is taken for dead within its time", name)
			}
		}
		time.Sleep(time.Second)
		if name, since := p.Stalled(); name != "stuck" || since != time.Second {
			t.Errorf("%q stands still since %v, want stuck since 1s", name, since)
		}
		stuck.Beat(0)
		if name, _ := p.Stalled(); name != "" {
			t.Errorf("%s is still dead after its beat", name)
		}
	})
}

func TestLoopMayWaitAsLongAsItSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pulses
		p.Loop("hourly").Beat(time.Hour)
		time.Sleep(time.Hour + pulseLimit)
		if name, _ := p.Stalled(); name != "" {
			t.Error("it is taken for dead while it waits")
		}
		time.Sleep(time.Second)
		if name, _ := p.Stalled(); name != "hourly" {
			t.Error("it is not missed when it did not come back")
		}
	})
}

func TestWorkThatTakesLongIsWaitedForAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pulses
		p.Loop("waits for the spool")
		p.Extend(10 * time.Minute)
		time.Sleep(10*time.Minute - time.Second)
		if name, _ := p.Stalled(); name != "" {
			t.Error("what takes as long as was said is taken for death")
		}
		time.Sleep(time.Second)
		if name, _ := p.Stalled(); name == "" {
			t.Error("what takes longer than was said is not missed")
		}
	})
}

func TestNobodyWatchesNil(t *testing.T) {
	var p *Pulses
	p.Extend(time.Hour)
	p.Loop("x").Beat(0)
	if name, _ := p.Stalled(); name != "" {
		t.Error(name)
	}
}
