package inverter_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
	"sunspool/health"
)

func TestPollReadsTheWholePlanInFourRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		first := b.MustPoll()
		if first.Model.Name != "SH4.0RS" || len(first.Serial) < 10 {
			t.Errorf("met %q, serial number %q", first.Model.Name, first.Serial)
		}
		before := b.Sim.Audit().Requests
		second := b.MustPoll()
		if n := b.Sim.Audit().Requests - before; n != 4 {
			t.Errorf("the second poll took %d requests, want 4", n)
		}
		if len(second.Lost) != 0 || second.Words[4989] == 0 {
			t.Errorf("lost %v, serial number %#x", second.Lost, second.Words[4989])
		}
		b.Polite()
	})
}

// The connection that failed once is never used again: a late answer would be taken for the next one.
func TestEveryFaultOfTheDongleIsSurvived(t *testing.T) {
	for _, fault := range []string{
		"slow=2s*1", "slow=10s*1", "late=7s*1", "silent*1", "half*1", "stall*1", "wrong-unit*1", "exception=4*1", "exception=6*1",
		"exception=10*1", "exception=11*1", "exception=2*1", "code0*1", "bad-length*1", "bad-count*1", "surplus*1", "reset*1",
		"second-client*1", "silent*3", "reset*4", "second-client@0.3", "exception=6@0.1", "code0@0.1", "surplus@0.1", "bad-count@0.1",
	} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
				want := b.MustPoll().Words
				b.Faults(fault)
				good := 0
				for range 60 { // five minutes
					r, err := b.Poll()
					if err != nil {
						if f, ok := errors.AsType[*health.Fault](err); !ok || f.Next == "" {
							t.Errorf("%v does not say what to do", err)
						}
						continue
					}
					good++
					for a, w := range r.Words {
						if want[a] != w {
							t.Fatalf("word %d is %#x, want %#x", a, w, want[a])
						}
					}
				}
				if good < 20 {
					t.Errorf("only %d of 60 polls were good", good)
				}
				b.Polite()
			})
		})
	}
}

func TestRandomExceptionCostsNoSample(t *testing.T) {
	for _, fault := range []string{"exception=4", "exception=6", "exception=10", "exception=11", "code0", "exception=2"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
			whole := len(b.MustPoll().Words)
			for _, block := range []string{":4999", ":12999", ":5213", ":5600"} {
				b.Faults(fault + block + "*1")
				if r := b.MustPoll(); len(r.Words) != whole || len(r.Lost) > 0 {
					t.Errorf("%s%s: %d words of %d, lost %v", fault, block, len(r.Words), whole, r.Lost)
				}
			}
			b.Polite()
		})
	}
}

// Ten thousand polls with every fault that there is, kills and pauses: the dongle is never treated badly, as it measures
// itself.
func TestPoliteWhateverHappens(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: 20,000 polls")
	}
	for _, seed := range []uint64{3, 4} {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 4))
			model := []string{"SH10RT", "SG5.0RS"}[seed%2]
			home, err := simulator.NewHome(simulator.HomeOptions{Model: model, Seed: seed, Since: time.Now().AddDate(0, 0, -2)})
			if err != nil {
				t.Fatal(err)
			}
			sim, err := simulator.New(simulator.Options{Home: home, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			b := newBed(t, sim)
			struck := make(map[string]int)
			good, restarts := 0, 0
			for i := range 10_000 {
				if i%7 == 0 {
					var now []string
					if rng.IntN(3) > 0 {
						kind := simulator.FaultKinds()[rng.IntN(len(simulator.FaultKinds()))]
						struck[kind]++
						text := kind
						switch kind {
						case "slow", "late":
							text += fmt.Sprintf("=%dms", 1+rng.IntN(12_000))
						case "refuse":
							text += "=5213-5241"
						}
						now = append(now, fmt.Sprintf("%s@0.%d", text, 1+rng.IntN(9)))
					}
					b.Faults(now...)
				}
				if rng.IntN(50) == 0 { // killed, and back at once
					b.In.Dongle.Close()
					b.Restart()
					restarts++
				}
				if rng.IntN(100) == 0 {
					time.Sleep(time.Duration(rng.Int64N(int64(time.Minute)))) // stopped and continued
				}
				if _, err := b.Poll(); err == nil {
					good++
				}
			}
			b.Polite()
			a := b.Sim.Audit()
			if good < 2000 || a.PollGap.Count < 2000 || a.ConnectGap.Count < 500 || restarts < 100 || len(struck) != len(simulator.FaultKinds()) {
				t.Errorf("only %d good polls of 10,000, %d restarts, %d kinds of faults, %+v", good, restarts, len(struck), a)
			}
			t.Logf("%s: %d good polls, %d restarts, %+v", model, good, restarts, a)
		})
	}
}

// slowWriter is a host that is too busy to let a request out at once, now and then.
type slowWriter struct {
	net.Conn
	rng *rand.Rand
}

func (w slowWriter) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(w.rng.Int64N(int64(300 * time.Millisecond))))
	return w.Conn.Write(b)
}

func TestBusyHostDoesNotHurryTheDongle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		rng := rand.New(rand.NewPCG(1, 1))
		b.In.Dongle.Link.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := b.Dial(ctx, network, address)
			return slowWriter{conn, rng}, err
		}
		for range 200 {
			b.MustPoll()
		}
		b.Polite()
	})
}

// Some firmware hangs or answers with a broken frame when it is asked for what it does not have.
func TestBlockThatBreaksTheConnectionIsLeftAlone(t *testing.T) {
	for _, fault := range []string{"silent:5213-5241", "bad-length:5213-5241", "reset:5600-5638"} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
				b.MustPoll()
				b.Faults(fault)
				good, start := 0, time.Now()
				for time.Since(start) < 9*time.Minute {
					if _, err := b.Poll(); err == nil {
						good++
					}
				}
				if good < 80 {
					t.Errorf("only %d samples in 9 min", good)
				}
				b.Polite()
			})
		})
	}
}

func TestAnotherInverterIsNotMixedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		ours := b.MustPoll().Serial
		mine := b.Sim
		b.Sim = invertertest.OfImage(t, "calc-sh6rt-old-fw-magnitude-discharging")
		b.In.Dongle.Close() // the router gave the address to somebody else
		for range 4 {
			if r, err := b.Poll(); err == nil {
				t.Fatalf("a reading of %s %s", r.Model.Name, r.Serial)
			}
		}
		b.Sim = mine
		for range 40 {
			if r, err := b.Poll(); err == nil && r.Serial != ours {
				t.Fatalf("a reading of %s", r.Serial)
			} else if err == nil {
				return
			}
		}
		t.Error("our own inverter is not read any more")
	})
}

func TestDongleIsLeftAloneAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		b.MustPoll()
		b.Faults("silent")
		for range 200 {
			b.Poll()
		}
		connects := b.Sim.Audit().Connects
		if a := b.Sim.Audit(); connects < 8 || connects > 16 {
			t.Errorf("%d connections in 1000 s of silence (5, 20, 45, then 90 s apart): %+v", connects, a)
		}
		b.Faults()
		start := time.Now()
		for {
			if _, err := b.Poll(); err == nil {
				break
			}
		}
		if waited := time.Since(start); waited > 110*time.Second {
			t.Errorf("the next good poll came after %v", waited)
		}
	})
}

// The raw words of a poll are for a public bug report: nothing in them names the unit.
func TestAnonymousWordsNameNoUnit(t *testing.T) {
	for _, image := range []string{invertertest.HybridImage, "calc-sg5rs-sunny-exporting"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, invertertest.OfImage(t, image))
			defer b.In.Dongle.Close()
			r := b.MustPoll()
			words := r.Anonymous()
			if r.Serial == "" || words[4999] != r.Words[4999] || len(words) < 80 {
				t.Fatalf("serial %q, %d words", r.Serial, len(words))
			}
			for address := inverter.SerialNumber.Address(); address < inverter.SerialNumber.Address()+10; address++ {
				if _, ok := words[address]; ok {
					t.Errorf("%s: word %d of the serial number is there", image, address)
				}
			}
		})
	}
}
