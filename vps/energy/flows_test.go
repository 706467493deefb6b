package energy

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sunspool/wire"
)

// TestFlowsExplainTheirNodes for any powers: none is negative, none is more than its ends, and their sums are the nodes
// but for what is unaccounted for.
func TestFlowsExplainTheirNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const eps = 1e-6
	for range 100_000 {
		pv, load, battery, export := r.Float64()*10_000, r.Float64()*10_000, r.Float64()*10_000-5000, r.Float64()*10_000-5000
		if r.IntN(2) == 0 {
			export = pv - battery - load // a balance that closes
		}
		p := Powers{PV: pv, Load: &load, Battery: &battery, Export: &export}
		f, home, grid := p.Split()
		if !home || !grid {
			t.Fatal("all is known")
		}
		charge, discharge, imported, exported := max(battery, 0), max(-battery, 0), max(-export, 0), max(export, 0)
		for _, v := range []float64{f.SolarHome, f.SolarBattery, f.SolarGrid, f.BatteryHome, f.BatteryGrid, f.GridHome, f.GridBattery} {
			if v < 0 || math.IsNaN(v) {
				t.Fatalf("%+v of %v %v %v %v", f, pv, load, battery, export)
			}
		}
		// No node gives or takes more than it has, and what is left over on either side is the unaccounted.
		given := pv - f.SolarHome - f.SolarBattery - f.SolarGrid + discharge - f.BatteryHome - f.BatteryGrid + imported - f.GridHome - f.GridBattery
		taken := load - f.SolarHome - f.BatteryHome - f.GridHome + charge - f.SolarBattery - f.GridBattery + exported - f.SolarGrid - f.BatteryGrid
		for _, rest := range []float64{
			pv - f.SolarHome - f.SolarBattery - f.SolarGrid, discharge - f.BatteryHome - f.BatteryGrid, imported - f.GridHome - f.GridBattery,
			load - f.SolarHome - f.BatteryHome - f.GridHome, charge - f.SolarBattery - f.GridBattery, exported - f.SolarGrid - f.BatteryGrid,
		} {
			if rest < -eps {
				t.Fatalf("%v too much: %+v of %v %v %v %v", rest, f, pv, load, battery, export)
			}
		}
		if math.Abs(given-taken-f.Unaccounted) > eps {
			t.Fatalf("given %v, taken %v, unaccounted %v", given, taken, f.Unaccounted)
		}
	}
}

// TestFlowsOfARollupExplainItsNodes: what holds for an instant holds for the sums, when all is known.
func TestFlowsOfARollupExplainItsNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		samples := anySamples(r, noon, 3*time.Hour, 500)
		for i := range samples {
			s := &samples[i]
			s.PVPowerW = max(s.PVPowerW, 0)
			s.LoadPowerW, s.BatteryPowerW, s.ExportPowerW = new(r.Float64()*5000), new(r.Float64()*6000-3000), new(r.Float64()*6000-3000)
		}
		e := rollupOf(noon, noon.Add(3*time.Hour), samples).Energy
		balance := e[PV] + e[Discharge] + e[Import] - e[Load] - e[Charge] - e[Export]
		if math.Abs(balance-e[Unaccounted]) > 1e-6*(e[PV]+e[Load]) {
			t.Fatalf("balance %v, unaccounted %v", balance, e[Unaccounted])
		}
		for i := SolarHome; i < Unaccounted; i++ {
			if e[i] < 0 {
				t.Fatalf("flow %d is %v", i, e[i])
			}
		}
		if e[SolarHome]+e[SolarBattery]+e[SolarGrid] > e[PV]*(1+1e-9) || e[SolarHome]+e[BatteryHome]+e[GridHome] > e[Load]*(1+1e-9) {
			t.Fatalf("more than there is: %v", e)
		}
	}
}

// TestLoadBelowNothingIsAnotherGenerator: it is no load, and of that time nothing is known of where energy went.
func TestLoadBelowNothingIsAnotherGenerator(t *testing.T) {
	var samples []wire.Sample
	for i := range 60 {
		s := wire.Sample{Time: noon.Add(time.Duration(i)*time.Minute + 30*time.Second), LoadPowerW: new(500.0), ExportPowerW: new(-500.0), Count: 1}
		if i < 15 {
			s.LoadPowerW, s.ExportPowerW = new(-2000.0), new(2000.0)
		}
		if i >= 50 {
			s.LoadPowerW = new(-20.0) // the meter and the inverter were not read at one instant
		}
		samples = append(samples, s)
	}
	p := laidOut([]time.Time{noon, noon.Add(time.Hour)}, samples)[0]
	for energy, want := range map[int]float64{Other: 0.5, Load: 500 * 35 / 60.0 / 1000, Export: 0.5, GridHome: 500 * 35 / 60.0 / 1000} {
		if kwh, ok := p.KWh(energy); !ok || math.Abs(kwh-want) > 1e-9 {
			t.Errorf("energy %d is %v kWh, want %v", energy, kwh, want)
		}
	}
	if part := p.Coverage(KnowsLoad, p.End); part != 0.75 {
		t.Errorf("the load is known for %v of the hour", part)
	}
	if v, ok := p.SelfSufficiency(); ok {
		t.Errorf("self-sufficiency is %v", v)
	}
}
