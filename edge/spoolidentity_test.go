package edge

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/report"
	"sunspool/internal/testhost"
)

// Two dongles swap their addresses while the edge is off, a dongle is replaced while it runs: no sample gets into the
// series of another inverter, health names it, and the setting that it proposes ends it.
func TestSamplesOfAnotherInverterAreNotStored(t *testing.T) {
	for _, restart := range []bool{false, true} {
		dir := testhost.MemoryDir(t)
		synctest.Test(t, func(t *testing.T) {
			sim := invertertest.OfImage(t, invertertest.HybridImage)
			start := func(serial string) *Edge {
				e := edgeAt(t, dir, serial)
				e.Inverter.Dongle.Link.Dial = (&invertertest.Bed{T: t, Sim: sim}).Dial
				e.connectBuffer()
				return e
			}
			poll := func(e *Edge) error {
				if err := e.await(t.Context()); err != nil {
					t.Fatal(err)
				}
				err := e.poll(t.Context())
				e.inverter.Report(err)
				return err
			}
			e := start("")
			if err := poll(e); err != nil {
				t.Fatal(err)
			}
			sim = invertertest.TwinOf(t, invertertest.HybridImage)
			if restart {
				e.Spool.Close()
				e = start("")
			} else {
				e.Inverter.Dongle.Link.Dial = (&invertertest.Bed{T: t, Sim: sim}).Dial
				e.Inverter.Dongle.Close()
			}
			for range 100 {
				if poll(e) == nil {
					t.Fatal("a sample of another inverter")
				}
			}
			state := e.Report.State()
			if state.Status != report.StateBlocked || state.Reasons[0] != "inverter_changed" || e.Spool.Waiting() != 1 {
				t.Errorf("%+v, %d samples", state, e.Spool.Waiting())
			}
			e.Spool.Close()
			_, serial, _ := strings.Cut(state.Next, "SUNGROW_SERIAL=")
			serial, _, _ = strings.Cut(serial, ";")
			e = start(serial)
			if err := poll(e); err != nil || e.Spool.Waiting() != 2 {
				t.Errorf("confirmed: %v, %d samples", err, e.Spool.Waiting())
			}
			if state := e.Report.State(); len(state.Reasons) > 0 {
				t.Errorf("%+v", state)
			}
			e.Inverter.Dongle.Close()
			e.Spool.Close()
		})
	}
}

// A dongle that repeats itself gets a new connection at once, and then with growing rests; polls go on meanwhile.
func TestFrozenDongleIsReconnectedWithGrowingRest(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		e := edgeAt(t, dir, "")
		sim := invertertest.OfImage(t, invertertest.HybridImage)
		e.Inverter.Dongle.Link.Dial = (&invertertest.Bed{T: t, Sim: sim}).Dial
		e.connectBuffer()
		polls := 0
		for start := time.Now(); time.Since(start) < 5*time.Hour; polls++ {
			if err := e.await(t.Context()); err != nil {
				t.Fatal(err)
			}
			e.poll(t.Context())
		}
		// At first, when it is noticed after 5 min, and 5, 15, 35, 75, 135, 195, 255 min later.
		a := sim.Audit()
		if a.Connects < 6 || a.Connects > 9 || a.Polls < polls-20 {
			t.Errorf("%d connections, %d polls of %d", a.Connects, a.Polls, polls)
		}
		e.Inverter.Dongle.Close()
		e.Spool.Close()
	})
}
