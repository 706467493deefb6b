package edge

import (
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
	"sunspool/internal/testhost"
)

// A dongle that repeats itself gives no samples, by day and by night.
func TestFrozenDongleGivesNoSamples(t *testing.T) {
	for _, image := range []string{invertertest.HybridImage, "calc-sh4rs-evening-discharging"} {
		synctest.Test(t, func(t *testing.T) {
			b := invertertest.New(t, invertertest.OfImage(t, image))
			e, _, _ := edgeTo(t, nil)
			e.Inverter = b.In
			e.connectBuffer()
			e.inverter, e.spool = e.Report.Chain.Link("inverter"), e.Report.Chain.Link("spool")
			for range 720 { // an hour
				if b.In.Dongle.Pace.Wait(t.Context()) != nil {
					t.Fatal("not in an hour")
				}
				e.poll(t.Context())
			}
			if n := e.Spool.Waiting(); n < 55 || n > 63 {
				t.Errorf("%s: %d samples of five minutes", image, n)
			}
			b.Polite()
			b.In.Dongle.Close()
		})
	}
}

// A dongle that moved on in between gets its new connection at once when it repeats itself again.
func TestDongleThatFreezesAgainIsReconnectedAtOnce(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		e := edgeAt(t, dir, "")
		sim, err := simulator.Config{Model: "SH10RT", Seed: 1, Speed: 1, TZ: "UTC", Unit: 1, Date: "2026-06-21T10:00"}.Server(time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		e.Inverter.Dongle.Link.Dial = (&invertertest.Bed{T: t, Sim: sim}).Dial
		e.connectBuffer()
		connectsIn := func(d time.Duration, faults ...simulator.Fault) int64 {
			sim.SetFaults(faults...)
			before := e.Inverter.Dongle.Link.Connects.Load()
			for start := time.Now(); time.Since(start) < d; {
				if err := e.await(t.Context()); err != nil {
					t.Fatal(err)
				}
				e.poll(t.Context())
			}
			return e.Inverter.Dongle.Link.Connects.Load() - before
		}
		frozen := simulator.Fault{Kind: "frozen"}
		connectsIn(time.Minute)
		connectsIn(3*time.Hour, frozen)
		connectsIn(time.Minute)
		if n := connectsIn(7*time.Minute, frozen); n != 1 {
			t.Errorf("%d connections", n)
		}
		e.Inverter.Dongle.Close()
		e.Spool.Close()
	})
}
