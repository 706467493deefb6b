package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/reading"
	"sunspool/edge/report"
	"sunspool/edge/simulator"
	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
)

// accounted fails unless each poll of h gave a sample, or is counted with the reason for which it gave none.
func accounted(t *testing.T, when string, h report.Health) {
	t.Helper()
	sum := h.Counts["samples_total"] + int64(h.RAMOnly)
	for _, reasons := range []map[string]int{h.Missing, h.Lost} {
		for _, n := range reasons {
			sum += int64(n)
		}
	}
	if h.Polls != sum || h.Counts["polls_total"] != h.Polls {
		t.Errorf("%s: %d polls (polls_total %d), %d samples, %d in memory, not made %v, lost %v", when, h.Polls, h.Counts["polls_total"],
			h.Counts["samples_total"], h.RAMOnly, h.Missing, h.Lost)
	}
}

// A day of everything that keeps a poll from a sample: a dongle that fails in each of its ways, sleeps, or repeats itself,
// a spool that fills up, a disk that takes nothing, bugs. Each poll is a sample or has its reason.
func TestPollsAreSamplesAndReasons(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of polls")
	}
	for _, c := range []struct {
		model  string
		commit time.Duration
	}{{"SH10RT", 0}, {"SH10RT", 5 * time.Minute}, {"SG5.0RS", 0}} {
		t.Run(fmt.Sprint(c.model, c.commit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				home := simulator.Config{Model: c.model, Seed: 1, Speed: 1, TZ: "UTC", Unit: 1, Date: "2026-06-21T14:00"}
				sim, err := home.Server(time.Now(), nil)
				if err != nil {
					t.Fatal(err)
				}
				b := invertertest.New(t, sim)
				e, _, _ := edgeTo(t, uploadtest.Tripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }))
				e.Inverter.Dongle.Link.Dial = b.Dial
				e.Commit = c.commit
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- e.Run(ctx) }()
				rng := rand.New(rand.NewPCG(uint64(c.commit), 11))
				kinds := simulator.FaultKinds()
				for range 10 * 6 {
					text := []string{"stall", "off", "silent", "exception=4", "zeros:4999-5035", kinds[rng.IntN(len(kinds))]}[rng.IntN(6)]
					if f, err := simulator.ParseFault(text); err == nil && rng.IntN(2) == 0 {
						b.Sim.SetFaults(f)
					} else {
						b.Sim.SetFaults()
					}
					switch rng.IntN(8) {
					case 0:
						e.Spool.SetLimit(e.Spool.Capacity().Used * 10 / 9) // it is read less often, and soon full
					case 1, 2:
						e.Spool.SetLimit(64 << 20)
					}
					time.Sleep(10*time.Minute + time.Duration(rng.IntN(3000))*time.Millisecond)
					synctest.Wait()
					if !e.turn.Busy() { // else it is in the middle of a poll
						accounted(t, "in between", e.Report.Now())
					}
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				h := e.Report.Now()
				accounted(t, "at the end", h)
				if want := map[string]float64{"SH10RT": 10_000, "SG5.0RS": 5000}[c.model]; ratedW(t, e) != want {
					t.Errorf("its rated power is %v W, want %v W", ratedW(t, e), want)
				}
				if h.Polls < 5000 || h.Counts["samples_total"] < 1000 || len(h.Missing) < 4 || h.RAMOnly != 0 {
					t.Errorf("the test tests little: %d polls, %d samples, %d in memory, not made %v", h.Polls, h.Counts["samples_total"], h.RAMOnly, h.Missing)
				}
				t.Logf("%d polls, %d samples, not made %v, lost %v", h.Polls, h.Counts["samples_total"], h.Missing, h.Lost)
			})
		})
	}
}

// Whatever ends a poll, it is counted once.
func TestEveryEndOfAPollIsCounted(t *testing.T) {
	for reason, err := range map[string]error{
		"inverter_silent": &health.Fault{Code: "inverter_silent", Exit: health.ExitUnreachable},
		"inverter_asleep": asleep,
		"inverter_frozen": &health.Fault{Code: "inverter_frozen"},
		"no_value":        &health.Fault{Code: "reading_no_value", Err: &reading.Unusable{Code: "no_value"}},
		"other":           errors.New("bug: panic: x"),
	} {
		e, _, _ := edgeTo(t, nil)
		e.connectBuffer()
		e.Report.Polled(err)
		e.Report.Skipped("spool_full")
		e.Report.Measured()
		e.stored(e.buffer.add(sampleAt(noon), spool.When{Quality: spool.Synced}))
		e.Report.Polled(asleep) // the last of a day gives a sample, and is followed by sleep
		h := e.Report.Now()
		accounted(t, reason, h)
		if h.Missing[reason] != 1 || h.Missing["spool_full"] != 1 || h.Polls != 3 || h.Counts["samples_total"] != 1 {
			t.Errorf("%s: %d polls, not made %v", reason, h.Polls, h.Missing)
		}
	}
}

// What the disk did not take in the end is lost, and not in memory any more.
func TestSamplesThatAreLostAtTheEndAreCountedOnce(t *testing.T) {
	e, _, _ := edgeTo(t, nil)
	e.connectBuffer()
	stop(e.Spool)
	for i := range 10 {
		e.Report.Measured()
		e.stored(e.buffer.add(sampleAt(noon.Add(time.Duration(i)*5*time.Second)), spool.When{Quality: spool.Synced}))
		e.Report.Polled(nil)
	}
	accounted(t, "while the disk fails", e.Report.Now())
	e.stored(e.buffer.flush())
	accounted(t, "at the end", e.Report.Now())
	if h := e.Report.Now(); h.RAMOnly != 0 || h.Lost["spool_full"] != 10 {
		t.Errorf("%d in memory, lost %v", h.RAMOnly, h.Lost)
	}
}

// ratedW returns the rated power that e has stored.
func ratedW(t *testing.T, e *Edge) float64 {
	t.Helper()
	text, err := os.ReadFile(e.night.File)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		RatedW float64 `json:"rated_w"`
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	return kept.RatedW
}
