package simulator

import (
	"math/rand/v2"
	"testing"
)

// Whatever sun, house and battery do, power is conserved and no part is asked for more than it can.
func TestDispatchConservesPower(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range sites {
		curtailed := 0
		for range 100_000 {
			sun, load, soc, celsius := 1.3*s.rated*r.Float64(), 14000*r.Float64(), 5+95*r.Float64(), -20+60*r.Float64()
			switch r.IntN(4) {
			case 0:
				sun = 0
			case 1:
				load = 300 * r.Float64()
			case 2:
				soc = maxSOC
			}
			f := s.dispatch(sun, load, soc, celsius)
			heat := f.sun - f.battery - f.ac
			switch {
			case heat < s.standby-1e-9 || heat > 350:
				t.Fatalf("%s: %v W of heat: %+v", s.model, heat, f)
			case f.ac > s.rated+1e-9:
				t.Fatalf("%s: %v W of AC: %+v", s.model, f.ac, f)
			case f.battery > s.battery.charge(soc, celsius), -f.battery > s.battery.discharge(soc):
				t.Fatalf("%s: %v W into the battery at %v %%, %v °C", s.model, f.battery, soc, celsius)
			case f.curtailed != (f.sun < sun) || f.sun > sun:
				t.Fatalf("%s: %v W of sun become %+v", s.model, sun, f)
			case f.curtailed && f.battery < s.battery.charge(soc, celsius):
				t.Fatalf("%s: sun is thrown away while the battery takes more: %+v", s.model, f)
			case f.battery > 0 && f.ac < min(load, s.rated)-1e-9, f.battery < 0 && f.ac > load+1e-9:
				t.Fatalf("%s: the battery works against the house, which draws %v W: %+v", s.model, load, f)
			}
			if f.curtailed {
				curtailed++
			}
		}
		if curtailed == 0 {
			t.Errorf("%s: never curtailed", s.model)
		}
	}
}

func TestBatteryTapers(t *testing.T) {
	p := sites[0].battery
	if p.charge(50, 20) != p.power || p.charge(99, 20) > p.power/3 || p.charge(maxSOC, 20) != 0 || p.charge(50, -8) > p.power/4 {
		t.Errorf("charging takes %v W at 50 %%, %v at 99 %%, %v at 100 %%, %v at -8 °C",
			p.charge(50, 20), p.charge(99, 20), p.charge(maxSOC, 20), p.charge(50, -8))
	}
	if p.discharge(50) != p.power || p.discharge(6) > 0.6*p.power || p.discharge(minSOC) != 0 {
		t.Errorf("discharging gives %v W at 50 %%, %v at 6 %%, %v at %v %%", p.discharge(50), p.discharge(6), p.discharge(minSOC), minSOC)
	}
}
