package pace

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// sinceEpoch is the uptime of a host in virtual time.
func sinceEpoch() time.Duration { return time.Duration(time.Now().UnixNano()) }

func TestPollsAreNeverCloserThanTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		p := &Pace{Interval: 5 * time.Second}
		var last time.Time
		for range 10_000 {
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(10) == 0 {
				time.Sleep(time.Duration(rng.Int64N(int64(30 * time.Second)))) // connecting, or a stall before the first request
			}
			p.Touch()
			if gap := time.Since(last); gap < 5*time.Second {
				t.Fatalf("%v between two polls", gap)
			}
			last = time.Now()
			if rng.IntN(10) == 0 {
				time.Sleep(time.Duration(rng.Int64N(int64(30 * time.Second)))) // a slow poll: it is not caught up
			}
		}
	})
}

// A restart shortens no wait, however the process ended, and makes none longer than the dongle needs.
func TestPaceSurvivesARestart(t *testing.T) {
	const interval = 5 * time.Second
	for _, c := range []struct {
		name   string
		leaves bool                          // it is stopped, not killed
		stored bool                          // its last touch, with a sample
		known  func(away time.Duration) bool // to the next process: when the dongle was touched last
	}{
		{"stopped", true, false, func(time.Duration) bool { return true }},
		{"stopped, with a sample", true, true, func(time.Duration) bool { return true }},
		{"killed", false, false, func(time.Duration) bool { return false }},
		{"killed, with a sample", false, true, func(away time.Duration) bool { return away < interval }},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "last-poll")
			synctest.Test(t, func(t *testing.T) {
				var stored time.Duration
				pace := func() *Pace {
					p := &Pace{Interval: interval, File: file, BootID: "boot", Up: sinceEpoch}
					p.Committed(stored)
					return p
				}
				for _, away := range []time.Duration{0, time.Second, 4 * time.Second, interval - 1, interval, time.Minute} {
					p := pace()
					for range 3 {
						p.Wait(t.Context())
						p.Touch()
					}
					touched := time.Now()
					if c.stored {
						stored = p.touchedUp
					}
					if c.leaves {
						p.Leave()
					}
					time.Sleep(away)

					start := time.Now()
					pace().Wait(t.Context())
					gap, waited := time.Since(touched), time.Since(start)
					if gap < interval || waited > interval+Margin {
						t.Errorf("away for %v: the next poll is %v after the last, by a wait of %v", away, gap, waited)
					}
					if c.known(away) && gap > max(away, interval+Margin) {
						t.Errorf("away for %v: the next poll is %v after the last", away, gap)
					}
				}
			})
		})
	}
}

// A touch that is older than a rest is not taken for the last one: a poll that failed stores nothing.
func TestPaceOfAProcessKilledAfterPollsThatFailed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "last-poll")
	synctest.Test(t, func(t *testing.T) {
		pace := func() *Pace { return &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: sinceEpoch} }
		p := pace()
		p.Wait(t.Context())
		p.Touch()
		stored := p.touchedUp
		p.Wait(t.Context())
		p.Touch()
		touched := time.Now()
		time.Sleep(time.Millisecond)
		p = pace()
		p.Committed(stored)
		p.Wait(t.Context())
		if gap := time.Since(touched); gap < 5*time.Second {
			t.Errorf("a poll %v after the last", gap)
		}
	})
}

// A process that ends before it has touched the dongle, again and again, hands on what it found.
func TestPaceOfProcessesThatDoNotPoll(t *testing.T) {
	for _, killed := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "last-poll")
		synctest.Test(t, func(t *testing.T) {
			pace := func() *Pace {
				return &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: sinceEpoch}
			}
			p := pace()
			p.Wait(t.Context())
			p.Touch()
			touched := time.Now()
			if !killed {
				p.Leave()
			}
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				p := pace()
				if p.Wait(ctx) == nil {
					t.Errorf("a poll %v after the last", time.Since(touched))
				}
				cancel()
				p.Leave()
			}
			pace().Wait(t.Context())
			if gap := time.Since(touched); gap < 5*time.Second {
				t.Errorf("a poll %v after the last", gap)
			}
		})
	}
}

// A file that a process cannot write has what an earlier one left, which is no longer true.
func TestPaceTrustsNoFileThatItCannotMark(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "last-poll")
	synctest.Test(t, func(t *testing.T) {
		pace := func() *Pace { return &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: sinceEpoch} }
		p := pace()
		p.Wait(t.Context())
		p.Touch()
		p.Leave()
		time.Sleep(time.Hour)
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(os.MkdirAll(filepath.Join(file+".new", "in the way"), 0o700))
		for range 3 {
			p := pace()
			p.Wait(t.Context())
			p.Touch()
			touched := time.Now()
			pace().Wait(t.Context()) // after a kill
			if gap := time.Since(touched); gap < 5*time.Second || gap > 5*time.Second+Margin {
				t.Errorf("a poll %v after the last", gap)
			}
		}

		p = pace()
		p.Wait(t.Context())
		must(os.RemoveAll(file + ".new")) // the disk takes writes again, while this process polls
		p.Touch()
		touched := time.Now()
		pace().Wait(t.Context())
		if gap := time.Since(touched); gap < 5*time.Second {
			t.Errorf("a poll %v after the last, of a process that could mark the file late", gap)
		}
	})
}

// Whatever the file holds, the first poll waits no longer than an interval.
func TestPaceWithAFileOfAnyContent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "last-poll")
	for text, waits := range map[string]bool{
		"": true, "boot": true, "{": true, "null": true, `{"boot":""}`: true, `{"boot":"boot"}`: true,
		`{"boot":"boot","last_touch_ns":"x"}`:                 true,
		`{"boot":"boot","last_touch_ns":9223372036854775807}`: true, // a machine that was set back to an earlier state
		`{"boot":"boot","last_touch_ns":-5}`:                  false,
		`{"boot":"boot","last_touch_ns":1}`:                   false,
		`{"boot":"another"}`:                                  false,
	} {
		synctest.Test(t, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			p := &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: sinceEpoch}
			start := time.Now()
			p.Wait(t.Context())
			if waited := time.Since(start); waited > 5*time.Second+Margin || waits != (waited >= 5*time.Second) {
				t.Errorf("%q: waited %v", text, waited)
			}
		})
	}
}

// Polls leave the file alone: a memory card has nothing to do with them.
func TestPollsDoNotWriteTheLastTouch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "last-poll")
	synctest.Test(t, func(t *testing.T) {
		p := &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: sinceEpoch}
		p.Wait(t.Context())
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			p.Touch()
			p.Wait(t.Context())
		}
		after, err := os.Stat(file)
		if err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
			t.Errorf("it was written meanwhile: %v", err)
		}
	})
}

// At longer intervals a connection that takes its time does not put off the polls after it.
func TestLongIntervalCountsFromPollToPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Pace{Interval: 15 * time.Second}
		begun := time.Now()
		for range 100 {
			p.Wait(t.Context())
			p.Touch()
			time.Sleep(3 * time.Second)
			p.Touch()
		}
		if took := time.Since(begun); took > 100*(15*time.Second+Margin) {
			t.Errorf("100 polls took %v", took)
		}
		time.Sleep(14 * time.Second)
		p.Touch()
		touched := time.Now()
		if p.Wait(t.Context()); time.Since(touched) < RestTime {
			t.Errorf("a poll %v after the dongle was touched", time.Since(touched))
		}
	})
}

// A boot between two processes shortens no wait and makes none longer.
func TestPaceSurvivesABoot(t *testing.T) {
	for _, killed := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "last-poll")
		synctest.Test(t, func(t *testing.T) {
			boot, booted := "first", time.Now().Add(-time.Hour)
			pace := func() *Pace {
				return &Pace{Interval: 5 * time.Second, File: file, BootID: boot, Up: func() time.Duration { return time.Since(booted) }}
			}
			for _, took := range []time.Duration{0, 2 * time.Second, time.Minute} { // faster than any host starts
				p := pace()
				for range 3 {
					p.Wait(t.Context())
					p.Touch()
				}
				if !killed {
					p.Leave()
				}
				touched := time.Now()
				boot, booted = "after "+took.String(), time.Now()
				time.Sleep(took)
				start := time.Now()
				pace().Wait(t.Context())
				if gap, waited := time.Since(touched), time.Since(start); gap < 5*time.Second || waited > 5*time.Second+Margin {
					t.Errorf("a boot of %v: the next poll is %v after the last, by a wait of %v", took, gap, waited)
				}
				if took == time.Minute && time.Since(start) > 0 {
					t.Errorf("waited %v after a boot of a minute", time.Since(start))
				}
			}
		})
	}
}

// A host that is busy between two looks at its clocks shortens no wait.
func TestPaceSurvivesARestartOnABusyHost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "last-poll")
	synctest.Test(t, func(t *testing.T) {
		busy := func() time.Duration {
			up := sinceEpoch()
			time.Sleep(30 * time.Millisecond)
			return up
		}
		for range 20 {
			p := &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: sinceEpoch}
			p.Wait(t.Context())
			time.Sleep(123_456_789)
			p.Touch()
			touched := time.Now()
			p.Leave()

			p = &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: busy}
			p.Wait(t.Context())
			if gap := time.Since(touched); gap < 5*time.Second || gap > 6*time.Second {
				t.Fatalf("the next poll is %v after the last", gap)
			}
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := &Pace{Interval: time.Hour}
		p.Touch()
		if err := p.Wait(ctx); err == nil {
			t.Error("Wait returned without an error")
		}
	})
}

func TestBackoffGrowsToItsMaximumAndSpreads(t *testing.T) {
	b := Backoff{Min: time.Second, Max: 5 * time.Minute}
	seen := map[time.Duration]bool{}
	for i := range 60 {
		full := min(time.Second<<min(i, 30), 5*time.Minute)
		d := b.Next()
		if d < full/2 || d > full {
			t.Errorf("wait %d is %v, want %v to %v", i, d, full/2, full)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d different waits of 60", len(seen))
	}
	b.Reset()
	if d := b.Next(); d > time.Second {
		t.Errorf("after a success the wait is %v", d)
	}
}
