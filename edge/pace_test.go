package edge

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

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

func TestPaceSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "last-poll")
	synctest.Test(t, func(t *testing.T) {
		for _, away := range []time.Duration{0, time.Second, 4 * time.Second, time.Minute} {
			p := &Pace{Interval: 5 * time.Second, File: file}
			p.Wait(t.Context())
			p.Touch()
			touched := time.Now()
			time.Sleep(away)

			p = &Pace{Interval: 5 * time.Second, File: file} // the process was killed and came back
			p.Wait(t.Context())
			if gap := time.Since(touched); gap < 5*time.Second || gap > max(away, 5*time.Second)+time.Second {
				t.Errorf("away for %v: the next poll is %v after the last", away, gap)
			}
		}
	})
}

// A host that is busy between two looks at its clocks, and a file system that cuts times to seconds, shorten no wait.
func TestPaceSurvivesARestartOnABusyHost(t *testing.T) {
	for _, cut := range []time.Duration{1, time.Second, 2 * time.Second, 10 * time.Millisecond} {
		file := filepath.Join(t.TempDir(), "last-poll")
		synctest.Test(t, func(t *testing.T) {
			booted := time.Now().Add(-time.Hour)
			up := func() time.Duration { return time.Since(booted) }
			busy := func() time.Duration {
				time.Sleep(30 * time.Millisecond)
				return up()
			}
			for range 20 {
				p := &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: up}
				p.Wait(t.Context())
				time.Sleep(123_456_789)
				p.Touch()
				touched := time.Now()
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				kept := time.Unix(0, info.ModTime().UnixNano()/int64(cut)*int64(cut))
				os.Chtimes(file, kept, kept)

				p = &Pace{Interval: 5 * time.Second, File: file, BootID: "boot", Up: busy}
				p.Wait(t.Context())
				if gap := time.Since(touched); gap < 5*time.Second || gap > 8*time.Second {
					t.Fatalf("times are kept to %v: the next poll is %v after the last", cut, gap)
				}
			}
		})
	}
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
		if took := time.Since(begun); took > 100*(15*time.Second+margin) {
			t.Errorf("100 polls took %v", took)
		}
		time.Sleep(14 * time.Second)
		p.Touch()
		touched := time.Now()
		if p.Wait(t.Context()); time.Since(touched) < restTime {
			t.Errorf("a poll %v after the dongle was touched", time.Since(touched))
		}
	})
}

// A step of the wall clock between two processes, and a new boot, shorten no wait and make none longer.
func TestPaceSurvivesARestartAndAStepOfTheClock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "last-poll")
	synctest.Test(t, func(t *testing.T) {
		boot, booted := "first", time.Now().Add(-time.Hour)
		pace := func() *Pace {
			return &Pace{Interval: 5 * time.Second, File: file, BootID: boot, Up: func() time.Duration { return time.Since(booted) }}
		}
		for i, away := range []time.Duration{0, time.Second, 4 * time.Second, time.Minute, 0, 2 * time.Second} {
			p := pace()
			for range 3 {
				p.Wait(t.Context())
				p.Touch()
			}
			touched := time.Now()
			time.Sleep(away)
			if i > 3 { // the host starts anew, faster than any does
				boot, booted = "second"+away.String(), time.Now()
			}
			start := time.Now()
			pace().Wait(t.Context())
			if gap, waited := time.Since(touched), time.Since(start); gap < 5*time.Second || waited > 5*time.Second+margin {
				t.Errorf("away for %v: the next poll is %v after the last, by a wait of %v", away, gap, waited)
			}
			if away == time.Minute && time.Since(start) > 0 {
				t.Errorf("waited %v after a minute", time.Since(start))
			}
		}
	})
}

func TestClockSetBackDoesNotStopPolling(t *testing.T) {
	file := filepath.Join(t.TempDir(), "last-poll")
	synctest.Test(t, func(t *testing.T) {
		os.WriteFile(file, nil, 0o600)
		future := time.Now().Add(24 * time.Hour)
		os.Chtimes(file, future, future)
		p := &Pace{Interval: 5 * time.Second, File: file}
		start := time.Now()
		p.Wait(t.Context())
		if waited := time.Since(start); waited > 6*time.Second {
			t.Errorf("waited %v", waited)
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
