package inverter_test

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/pace"
)

// Gateways close a connection that is idle. Whatever they do and however rarely is polled, each poll gives its sample, and
// the dongle has its rest.
func TestConnectionsThatDieIdleCostNoSample(t *testing.T) {
	for _, interval := range []time.Duration{5, 8, 10, 11, 15, 30, 60} {
		for _, idle := range []string{"4s", "7s", "9s", "12s", "15s", "20s", "59s"} {
			t.Run(fmt.Sprintf("%ds %s", interval, idle), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
					b.In.Dongle.Pace.Interval = interval * time.Second
					b.Faults("idle=" + idle)
					begun := time.Now()
					for range 100 {
						if r := b.MustPoll(); len(r.Lost) > 0 {
							t.Fatal(r.Lost)
						}
					}
					most := 100 * (interval*time.Second + 4*time.Second)
					if interval > 10 {
						most = 101 * (interval*time.Second + pace.Margin)
					}
					if took := time.Since(begun); took > most {
						t.Errorf("100 polls took %v", took)
					}
					b.Polite()
				})
			})
		}
	}
}

// A connection whose end is noticed by the first request only is replaced once, within the poll.
func TestConnectionThatBreaksAtTheFirstRequestIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		for _, fault := range []string{"reset:4999-4999*1", "half:4999-4999*1"} {
			b.MustPoll()
			b.Faults(fault)
			begun := time.Now()
			if r := b.MustPoll(); len(r.Lost) > 0 || time.Since(begun) > 12*time.Second {
				t.Errorf("%s: lost %v after %v", fault, r.Lost, time.Since(begun))
			}
		}
		b.MustPoll()
		before := b.Sim.Audit().Connects
		b.Faults("reset:4999-4999")
		if _, err := b.Poll(); !invertertest.HasCode(err, "inverter_reset") || b.Sim.Audit().Connects != before+1 {
			t.Errorf("%v, %d connections more", err, b.Sim.Audit().Connects-before)
		}
		for range 60 { // five minutes, with rests of 5, 20, 45, 45 s ...
			b.Poll()
		}
		if n := b.Sim.Audit().Connects - before; n > 10 {
			t.Errorf("the dongle has no rest: %d connections in 5 min", n)
		}
		b.Polite()
	})
}

func TestDongleThatDoesNotTakeANewConnectionHasItsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		b.MustPoll()
		b.Faults("reset:4999-4999*1")
		dials := 0
		b.In.Dongle.Link.Dial = func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		for range 60 { // five minutes
			if _, err := b.Poll(); err == nil {
				t.Fatal("a reading")
			}
		}
		if dials < 4 || dials > 10 {
			t.Errorf("%d connections tried in 5 min", dials)
		}
	})
}

// Under back-pressure only every 6th beat is a poll.
func TestPausesOfAThrottledEdgeCostNoSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		b.Faults("idle=12s")
		for range 100 {
			for range 5 {
				b.In.Dongle.Pace.Wait(t.Context())
			}
			b.MustPoll()
		}
		b.Polite()
	})
}
