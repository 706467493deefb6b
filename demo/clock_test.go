package demo

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/clock"
	"sunspool/vps/store"
)

// A Pi without a clock starts in the year of its image, and nothing tells it the time at first: it reads, keeps, says
// what it waits for, and delivers with the right times once a time server, or else our own, has told it.
func TestHostWithoutAClockLosesNothing(t *testing.T) {
	for name, byServer := range map[string]bool{"time server after 20 min": false, "our own server": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t).begin()
				b.stopEdge()
				var synced atomic.Bool
				begun := time.Now()
				b.host = &clock.Host{
					Wall: func() time.Time {
						if synced.Load() {
							return time.Now()
						}
						return time.Now().AddDate(-1, 0, 0)
					},
					Up:     func() time.Duration { return time.Since(begun) + 20*time.Second },
					Synced: func() (bool, error) { return synced.Load(), nil }, BootID: "first",
				}
				before := 0
				b.set(func() { before = len(b.made) })
				b.dates = byServer
				b.startEdge()
				time.Sleep(8 * time.Minute)
				h := b.edge.Report.Now()
				if h.Clock != "unsynced" || h.Held < 90 || h.Held != h.SpoolCount || h.Status != "degraded" || !strings.Contains(h.Sentence, "the time is not known") {
					t.Errorf("clock %s, %d held of %d, %s: %s", h.Clock, h.Held, h.SpoolCount, h.Status, h.Sentence)
				}
				time.Sleep(12 * time.Minute)
				synced.Store(!byServer)
				time.Sleep(time.Minute)
				want := "synced"
				if byServer {
					want = "server"
				}
				if h := b.edge.Report.Now(); h.Clock != want || h.Held != 0 || h.SpoolCount > 5 || h.Sentence != "ok" {
					t.Errorf("clock %s, %d held, %d wait: %s", h.Clock, h.Held, h.SpoolCount, h.Sentence)
				}
				b.stopEdge()
				rows := 0
				periods, err := b.disk.Periods(t.Context(), store.Query{Device: "roof", Resolution: store.Quarter, From: begun.Add(-time.Hour), To: time.Now()})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range periods {
					rows += int(p.Count)
				}
				if rows != len(b.made) || rows < before+200 {
					t.Errorf("%d samples made, %d of them stored with a time that is right", len(b.made), rows)
				}
				b.stopServer()
			})
		})
	}
}
