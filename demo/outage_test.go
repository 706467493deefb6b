package demo

import (
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/simulator"
)

// An hour without network, lost answers, a server that restarts and an edge that restarts: what was read is stored,
// exactly once.
func TestOutageLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t).begin()
		time.Sleep(10 * time.Minute)

		b.set(func() { b.cut = true })
		time.Sleep(time.Hour)
		if n := b.edge.Spool.Waiting(); n < 700 {
			t.Errorf("%d samples wait after an hour of outage, want about 720", n)
		}
		b.set(func() { b.cut = false })
		time.Sleep(10 * time.Minute)
		if n := b.edge.Spool.Waiting(); n > 5 {
			t.Errorf("%d samples still wait 10 min after the outage", n)
		}

		b.set(func() { b.lose = 0.5 })
		time.Sleep(30 * time.Minute)
		retries := 0
		b.set(func() { retries = b.retries })
		if retries < 10 {
			t.Errorf("only %d answers were lost: the test tests nothing", retries)
		}
		b.stopServer()
		time.Sleep(5 * time.Minute)
		b.startServer()
		time.Sleep(10 * time.Minute)
		b.stopEdge()
		time.Sleep(time.Minute)
		b.startEdge()
		time.Sleep(10 * time.Minute)

		b.set(func() { b.lose = 0 })
		time.Sleep(10 * time.Minute)
		b.stopEdge()
		if len(b.made) < 1500 {
			t.Errorf("only %d samples were made in 2 h 26 min", len(b.made))
		}
		b.check()
		b.stopServer()
	})
}

// The two loops do not wait for each other.
func TestSpoolDrainsWhileTheInverterIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t).begin()
		b.set(func() { b.cut = true })
		time.Sleep(30 * time.Minute)
		b.inverter.SetFaults(simulator.Fault{Kind: "silent"})
		b.set(func() { b.cut = false })
		time.Sleep(10 * time.Minute)
		if n := b.edge.Spool.Waiting(); n != 0 {
			t.Errorf("%d samples wait because the inverter does not answer", n)
		}
		h := b.edge.Report.Now()
		if h.Status != "degraded" || h.Links[0].Code != "inverter_silent" {
			t.Errorf("health is %s: %+v", h.Status, h.Links)
		}
		b.inverter.SetFaults()
		time.Sleep(5 * time.Minute)
		if h := b.edge.Report.Now(); h.Status != "ok" || h.Sentence != "ok" {
			t.Errorf("health is %s: %s", h.Status, h.Sentence)
		}
		b.stopEdge()
		b.check()
		b.stopServer()
	})
}

// Told to stop, the edge delivers what it has.
func TestLastSamplesAreFlushedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t).begin()
		time.Sleep(time.Minute + 7*time.Second) // between two uploads
		waiting := b.edge.Spool.Waiting()
		if waiting == 0 {
			t.Error("nothing waits: the test tests nothing")
		}
		start := time.Now()
		b.stopEdge()
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("stopping took %v", took)
		}
		b.check()
		b.stopServer()
	})
}

// A dongle that repeats itself is not believed, and is heard again when it wakes up.
func TestFrozenDongleGivesNoSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t).begin()
		time.Sleep(5 * time.Minute)
		b.inverter.SetFaults(simulator.Fault{Kind: "frozen"})
		time.Sleep(10 * time.Minute)
		made := func() (n int) { b.set(func() { n = len(b.made) }); return n }
		before := made()
		h := b.edge.Report.Now()
		if h.Links[0].Code != "inverter_frozen" || h.Missing["inverter_frozen"] == 0 {
			t.Errorf("health says %+v, not made %v", h.Links[0], h.Missing)
		}
		time.Sleep(10 * time.Minute)
		if n := made() - before; n > 0 {
			t.Errorf("%d samples of a frozen dongle", n)
		}
		b.inverter.SetFaults()
		time.Sleep(2 * time.Minute)
		if n := made() - before; n < 10 {
			t.Errorf("%d samples in the 2 min after it woke up", n)
		}
		b.stopEdge()
		b.check()
		b.stopServer()
	})
}
