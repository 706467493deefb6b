package demo

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/spool"
	"sunspool/wire"
)

// The server is away until the spool is full: the inverter is read less and less often, then not at all, every poll
// that is left out is counted, and when the server is back all that was made is stored.
func TestFullSpoolSlowsPollingAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t).begin()
		b.set(func() { b.cut = true })
		b.edge.Spool.SetLimit(3 << 20)
		time.Sleep(time.Minute)
		past := epoch.AddDate(0, 0, -30)
		fillTo := func(share float64) {
			for b.edge.Spool.Capacity().Share() < share {
				group := make([]spool.Pending, 50)
				for i := range group {
					past = past.Add(5 * time.Second)
					group[i] = spool.Pending{Sample: wire.Sample{DeviceID: "roof", Time: past, PVPowerW: 1, Count: 1}, When: spool.When{Quality: spool.Synced}}
				}
				if err := b.edge.Spool.AppendAll(group); err != nil {
					if !errors.Is(err, spool.ErrFull) || share < 0.98 {
						t.Error(err)
						return
					}
					break
				}
				b.set(func() {
					for _, p := range group {
						b.made = append(b.made, p.Sample)
					}
				})
			}
			time.Sleep(time.Minute) // the level is noticed with the next beat
		}
		made := func() (n int) { b.set(func() { n = len(b.made) }); return n }
		for _, c := range []struct {
			share float64
			code  string
			polls int // in ten minutes
		}{{0.1, "", 120}, {0.71, "spool_70", 60}, {0.86, "spool_85", 20}, {0.955, "spool_95", 10}, {0.98, "spool_full", 0}} {
			fillTo(c.share)
			before, h := made(), b.edge.Report.Now()
			time.Sleep(10 * time.Minute)
			after := b.edge.Report.Now()
			// A poll after a pause of more than 10 s begins with a new connection, and the dongle's rest after it.
			if got := made() - before; got < c.polls*9/10-1 || got > c.polls+1 {
				t.Errorf("%.0f %% full: %d samples in ten minutes, want %d", c.share*100, got, c.polls)
			}
			if got, want := after.Missing["spool_full"]-h.Missing["spool_full"], 120-c.polls; got < want*9/10 || got > want+2 {
				t.Errorf("%.0f %% full: %d polls counted as left out, want %d", c.share*100, got, want)
			}
			for _, l := range after.Links {
				if l.Name == "spool" && l.Code != c.code {
					t.Errorf("%.0f %% full: the spool says %q, want %q", c.share*100, l.Code, c.code)
				}
			}
		}
		b.set(func() { b.cut = false })
		back := time.Now()
		before := made()
		for made() == before && time.Since(back) < time.Hour {
			time.Sleep(time.Second)
		}
		if h := b.edge.Report.Now(); h.LastUpload == nil || time.Since(*h.LastUpload) > time.Minute {
			t.Errorf("polling goes on %v after the server came back, the last upload was %v", time.Since(back), h.LastUpload)
		}
		time.Sleep(15 * time.Minute)
		if h := b.edge.Report.Now(); h.Status != "ok" || h.SpoolShare > 15 { // a small spool: the times that were given are kept in it
			t.Errorf("drained, but: %s, %.1f %%", h.Sentence, h.SpoolShare)
		}
		b.stopEdge()
		b.check()
		b.stopServer()
	})
}

// With a commit interval the last samples are in memory when the edge is told to stop; they are not lost.
func TestStopFlushesWhatWasNotCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t).begin()
		b.stopEdge()
		b.commitS = 120
		b.startEdge()
		time.Sleep(10*time.Minute + 7*time.Second)
		h := b.edge.Report.Now()
		if h.RAMOnly == 0 {
			t.Error("nothing is in memory: the test tests nothing")
		}
		b.stopEdge()
		if n := len(b.made); n < 115 {
			t.Errorf("%d samples in ten minutes", n)
		}
		b.check()
		b.stopServer()
	})
}
