package edge

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// Each empty field of a sample has its reason in health.json.
func TestHealthNamesWhyAFieldIsEmpty(t *testing.T) {
	for name, c := range map[string]struct {
		image  string
		change map[uint16]uint16
		why    map[string]string // a part of it, by field
	}{
		"no meter":   {invertertest.HybridImage, map[uint16]uint16{13007: 2267, 13009: 0, 5600: 0, 5601: 0}, map[string]string{"load_power_w": "no meter", "export_total_kwh": "no meter"}},
		"meter lost": {invertertest.HybridImage, map[uint16]uint16{13050: 1 << 14}, map[string]string{"load_power_w": "meter does not answer"}},
		"no battery": {invertertest.HybridImage, zeros(13019, 13020, 13021, 13022, 13023, 5213, 5214, 5630), map[string]string{"battery_power_w": "no battery", "charge_total_kwh": "no battery"}},
		"two meters": {invertertest.HybridImage, map[uint16]uint16{5600: 500, 5601: 0}, map[string]string{"export_power_w": "meter_active_power", "load_power_w": "meter_active_power"}},
		"no charge":  {invertertest.HybridImage, map[uint16]uint16{13022: 0xFFFF}, map[string]string{"battery_soc_pct": "no register"}},
	} {
		s, f, err := Normalize(readingOf(t, c.image, c.change))
		if err != nil {
			t.Fatal(name, err)
		}
		for _, field := range wire.Fields {
			why, named := f.Unknown[field.Name]
			if empty := field.Get(&s) == nil; empty != named || !strings.Contains(why, c.why[field.Name]) || empty && why == "" {
				t.Errorf("%s: %s is %v because %q", name, field.Name, text(field.Get(&s)), why)
			}
		}
		for field := range c.why {
			if _, named := f.Unknown[field]; !named {
				t.Errorf("%s: %s has a value", name, field)
			}
		}
	}
}

// Registers that contradict each other for three polls are part of the status, with what is left over, and end with it.
func TestContradictionIsToldAfterThreePolls(t *testing.T) {
	e, _, _ := edgeTo(t, nil)
	poll := func(change map[uint16]uint16) {
		_, f, err := Normalize(readingOf(t, invertertest.HybridImage, change))
		if err != nil {
			t.Fatal(err)
		}
		e.Report.found(f)
	}
	told := func() bool { return slices.Contains(e.Report.State().Reasons, "registers_contradict") }
	differ := map[uint16]uint16{5600: 500, 5601: 0} // the meter's own register buys, the inverter sells
	for i := range 4 {
		if told() != (i > 2) {
			t.Errorf("after %d polls: %v", i, told())
		}
		poll(differ)
	}
	if h := e.Report.Now(); h.Counts["contradicting_polls"] != 4 || h.Status != StateDegraded {
		t.Errorf("%v, %s", h.Counts, h.Status)
	}
	poll(nil)
	if h := e.Report.Now(); told() || h.Counts["contradicting_polls"] != 0 || h.Counts["balance_residual_watts"] != 86 {
		t.Errorf("they agree again: %v, %v", told(), h.Counts)
	}
	lossy := map[uint16]uint16{5016: 5000, 5010: 5270} // PV that goes where no register counts
	for range 3 {
		poll(lossy)
	}
	if s := e.Report.State(); !told() || !strings.Contains(s.Sentence, "1360 W") {
		t.Errorf("%+v", s)
	}
}

// A dongle that repeats itself gives no samples, by day and by night.
func TestFrozenDongleGivesNoSamples(t *testing.T) {
	for _, image := range []string{invertertest.HybridImage, "calc-sh4rs-evening-discharging"} {
		synctest.Test(t, func(t *testing.T) {
			b := invertertest.New(t, invertertest.OfImage(t, image))
			e, _, _ := edgeTo(t, nil)
			e.Inverter = b.In
			e.fillRing()
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

// A string inverter at night, whose dongle goes on with the words of the evening, gives its PV power of 0 and no more.
func TestSleepingStringInverterGoesOnWithoutItsMeter(t *testing.T) {
	var n Normalizer
	r := readingOf(t, "calc-sg5rs-sunny-exporting", map[uint16]uint16{
		5010: 0, 5011: 0, 5012: 0, 5013: 0, 5016: 0, 5017: 0, 5008: 0, 5021: 0, 5030: 0, 5031: 0, 5082: 1312, 5083: 0, 5084: 1312, 5090: 1312, 5091: 0,
	})
	for i := range 5000 { // seven hours
		s, _, err := n.Normalize(r, r.At, true)
		if err != nil || s.PVPowerW != 0 || n.Still() != 0 {
			t.Fatalf("poll %d: %v, %v", i, err, n.Still())
		}
		if old := i > 60; old && (s.LoadPowerW != nil || s.ExportPowerW != nil) {
			t.Fatalf("poll %d: load %v", i, text(s.LoadPowerW))
		}
		r.At = r.At.Add(5 * time.Second)
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
		e.fillRing()
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
