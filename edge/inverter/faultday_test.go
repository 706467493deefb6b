package inverter_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
)

// spell is a fault that lasts for a while.
type spell struct {
	fault string
	ends  time.Time
}

// faultDay is a random schedule of what goes wrong with a dongle.
type faultDay struct {
	rng       *rand.Rand
	next      time.Time
	spells    []spell
	prevented time.Time // when the inverter could not answer last
}

// mildFaults are faults of dongles and gateways that leave block A answered: each poll can give the power of the sun.
var mildFaults = []string{
	"exception=2:12999-13079", "exception=4:12999-13079", "exception=2:5213-5241", "exception=11:5600-5640", "exception=6@0.05",
	"refuse=13049-13078", "refuse=5213-5241", "silent:5600-5600", "reset:5213-5213", "silent:12999-12999", "reset:12999-12999",
	"zeros:12999-13079", "zeros:5600-5640", "idle=4s", "idle=6s", "idle=12s", "late=1s:5600-5600*1", "second-client@0.05", "reset:4999-4999*1",
}

// hardFaults are those that leave no answer at all, or none that is a reading.
var hardFaults = []string{"silent", "reset", "exception=2", "exception=4", "zeros:4999-5035", "off", "stall"}

func (d *faultDay) at(t time.Time) []string {
	d.spells = slices.DeleteFunc(d.spells, func(s spell) bool { return !t.Before(s.ends) })
	if !t.Before(d.next) {
		d.next = t.Add(time.Duration(d.rng.Int64N(int64(10 * time.Minute))))
		s := spell{mildFaults[d.rng.IntN(len(mildFaults))], t.Add(time.Duration(d.rng.Int64N(int64(15 * time.Minute))))}
		if d.rng.IntN(10) == 0 {
			s = spell{hardFaults[d.rng.IntN(len(hardFaults))], t.Add(time.Duration(d.rng.Int64N(int64(20 * time.Second))))}
		}
		d.spells = append(d.spells, s)
	}
	var faults []string
	for _, s := range d.spells {
		faults = append(faults, s.fault)
		if slices.Contains(hardFaults, s.fault) {
			d.prevented = t
		}
	}
	return faults
}

// A day of a bad dongle: of the polls at which it could have answered, nearly all gave the power of the sun. It could
// have, unless a hard fault was there, or the dongle was left alone after one, which takes up to 90 s and a tenth.
func TestADayOfFaultsCostsFewSamples(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: three days of polls")
	}
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
			day := &faultDay{rng: rand.New(rand.NewPCG(seed, 10))}
			b.MustPoll()
			could, gave := 0, 0
			var was string
			for begun := time.Now(); time.Since(begun) < 24*time.Hour; {
				faults := day.at(time.Now())
				if text := fmt.Sprint(faults); text != was {
					b.Faults(faults...)
					was = text
				}
				r, err := b.Poll()
				if time.Since(day.prevented) < 110*time.Second {
					continue
				}
				could++
				if err == nil && has(r, "total_dc_power") {
					gave++
				}
			}
			if could < 12_000 || gave < could*99/100 {
				t.Errorf("seed %d: %d of %d polls gave a sample", seed, gave, could)
			}
			t.Logf("seed %d: %d of %d polls gave a sample (%.2f %%), %+v", seed, gave, could, 100*float64(gave)/float64(could), b.Sim.Audit())
			b.Polite()
		})
	}
}

// Thousands of polls of two units with every fault there is, idle closes, a dongle that repeats itself, another inverter at
// one of the ids, and restarts: the dongle is never treated badly, as it measures itself.
func TestPoliteToADongleOfTwoUnits(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: 12,000 polls")
	}
	for _, interval := range []time.Duration{5 * time.Second, 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(interval), 6))
			b, second := pair(t)
			b.In.Dongle.Pace.Interval = interval
			units := []*inverter.Inverter{b.In, second}
			frozen, good := false, 0
			for i := range 6000 {
				if i%9 == 0 {
					var faults []simulator.Fault
					for range rng.IntN(3) {
						f, err := simulator.ParseFault(simulator.FaultKinds()[rng.IntN(len(simulator.FaultKinds()))])
						switch {
						case err != nil: // refuse needs its addresses
							f = simulator.Fault{Kind: "refuse", From: 12999, To: 13079}
						case f.Kind == "idle":
							f.Value = time.Duration(4+rng.IntN(20)) * time.Second
						case rng.IntN(2) == 0:
							f.Chance = 0.5
						}
						f.Unit = byte(rng.IntN(3))
						faults = append(faults, f)
					}
					frozen = rng.IntN(4) == 0
					b.Sim.SetFaults(faults...)
				}
				if rng.IntN(200) == 0 {
					b.In.Dongle.Close()
					b.Restart()
					b.In.Dongle.Pace.Interval = interval
					units = []*inverter.Inverter{b.In, b.Unit(2)}
				}
				in := units[i%2]
				if rng.IntN(100) == 0 {
					in.Known.Serial = []string{"A2200000000", ""}[rng.IntN(2)]
					in.Dongle.Close()
				}
				if _, err := b.PollOf(in); err != nil {
					continue
				}
				if good++; frozen {
					in.Reconnect()
				} else {
					in.Recovered()
				}
			}
			a := b.Sim.Audit()
			if good < 1500 || a.Connects < 400 || a.Polls < 2000 {
				t.Errorf("the test tests little: %d good polls, %+v", good, a)
			}
			t.Logf("%v: %d good polls, %+v", interval, good, a)
			b.Polite()
		})
	}
}
