package demo

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	schedules = flag.Int("schedules", 12, "how many random schedules TestRandomSchedulesLoseNothing plays")
	oneSeed   = flag.Uint64("seed", 0, "play only this schedule, and tell what happens in it")
)

const (
	scheduleTime = 4 * time.Hour    // of faults
	calmTime     = 30 * time.Minute // without, in which everything must arrive
)

// Whatever goes wrong in four hours, and however it falls together: half an hour after the last fault every sample that
// was made is stored, once, with its values and the time of its poll, and the dongle was never hurried.
func TestRandomSchedulesLoseNothing(t *testing.T) {
	t.Parallel() // it computes while others wait
	if *oneSeed != 0 {
		reportFailure(t, *oneSeed, play(t, *oneSeed, nil))
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // each schedule is a small heap: memory is cheaper here than time
	n := *schedules
	if testing.Short() {
		n = min(n, 2)
	}
	var mu sync.Mutex
	total := &schedule{}
	t.Run("seeds", func(t *testing.T) {
		for seed := range uint64(n) {
			t.Run(fmt.Sprint(seed+1), func(t *testing.T) {
				if n > 100 { // a few take no place of the tests that wait
					t.Parallel()
				}
				s := play(t, seed+1, nil)
				reportFailure(t, seed+1, s)
				mu.Lock()
				defer mu.Unlock()
				total.made += s.made
				total.requests += s.requests
				total.resent += s.resent
				total.faults += s.faults
				total.redated += s.redated
				total.estimated += s.estimated
				total.most = max(total.most, s.most)
			})
		}
	})
	t.Logf("%d schedules: %d samples, %d requests, %d samples sent again, %d dated later, %d of them by estimation, %d faults, at most %d requests at one instant",
		n, total.made, total.requests, total.resent, total.redated, total.estimated, total.faults, total.most)
	if total.resent < n || total.faults < 10*n || total.redated < n || total.estimated < n/10 {
		t.Error("hardly anything went wrong: the test tests nothing")
	}
}

// schedule is what came of one.
type schedule struct {
	problems []string
	trace    []string

	made, requests, resent, redated, estimated, faults int
	most                                               int // requests at one instant
}

func reportFailure(t *testing.T, seed uint64, s *schedule) {
	t.Helper()
	if *oneSeed != 0 {
		t.Log(strings.Join(s.trace, "\n"))
	}
	if len(s.problems) > 0 {
		t.Errorf("%s\nreplay: go test ./demo -run TestRandomSchedulesLoseNothing -v -seed %d", strings.Join(s.problems, "\n"), seed)
	}
}

// fate decides everything that is random in a schedule. Each decision depends on the seed, on who is struck, and on how
// often that one was at risk before, so that a schedule plays much the same again whatever the scheduler does.
type fate uint64

func (f fate) dice(who string, operation int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(who))
	return rand.New(rand.NewPCG(uint64(f), h.Sum64()+uint64(operation)))
}

// play plays the schedule of a seed, with a bug planted if there is one.
func play(t *testing.T, seed uint64, plant *bug) *schedule {
	t.Helper()
	var s *schedule
	synctest.Test(t, func(t *testing.T) {
		dice := fate(seed).dice("settings", 0)
		b := newBedOf(t, []string{"SH10RT", "SH4.0RS", "SG5.0RS"}[dice.IntN(3)])
		w := &world{bed: b, fate: fate(seed), began: time.Now()}
		b.pollS = []float64{5, 10, 20, 20, 30, 30, 60, 60}[dice.IntN(8)]
		b.uploadS = []float64{10, 30, 60, 60}[dice.IntN(4)]
		w.strict = dice.IntN(3) == 0
		b.commitS = []float64{0, 0, 0, 0, 20, 120}[dice.IntN(6)]
		b.link, b.wrap = w, w.before
		w.watch()
		troubles := gremlins
		if dice.IntN(2) == 0 {
			w.machine = &machine{began: time.Now(), says: synced}
			b.host, b.dates = w.machine.host(), true
			troubles = append(slices.Clip(troubles), clockGremlin)
		}
		if plant != nil {
			plant.into(w)
		}
		b.begin()

		end := time.Now().Add(scheduleTime)
		var all sync.WaitGroup
		for _, g := range troubles {
			all.Go(func() { w.haunt(g, end) })
		}
		all.Wait()
		time.Sleep(time.Until(end))
		w.trace("faults end")
		time.Sleep(calmTime)
		b.stopEdge()
		problems := w.dating()
		s = &schedule{problems: append(problems, b.problems()...), trace: w.log, made: len(b.made), requests: w.requests, resent: w.resent, redated: w.redated, estimated: w.estimated, faults: len(w.log), most: w.most}
		if w.most > spinning {
			s.problems = append(s.problems, fmt.Sprintf("%d requests at one instant", w.most))
		}
		b.stopServer()
	})
	return s
}
