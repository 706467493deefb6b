package energytest

import (
	"testing"
	"time"

	"sunspool/vps/energy"
)

// TestTruthHasNoFault: who knows what the house really did is never said to be wrong.
func TestTruthHasNoFault(t *testing.T) {
	for houses := range uint64(12) {
		if testing.Short() && houses >= 2 {
			break
		}
		house := NewHouse(houses)
		for i := range uint64(50) {
			g := New(houses*50+i, house)
			faults := g.Check(g.truth)
			if len(faults) > 0 {
				t.Errorf("%s\n%v", g, faults)
			}
		}
	}
}

// truth is the answer of one who was there while samples came.
func (g *History) truth(resolution string, from, to time.Time) Answer {
	all := starts(resolution, from, to, g.House.Zone)
	a := Answer{Columns: map[string][]float64{}}
	add := func(name string, v float64) { a.Columns[name] = append(a.Columns[name], v) }
	for i, start := range all[:len(all)-1] {
		a.From = append(a.From, start.Unix())
		begin, end := max(start.UnixMilli(), g.From.UnixMilli()), min(all[i+1].UnixMilli(), g.To.UnixMilli())
		for e, name := range Names {
			v := max(g.House.kWh(e, begin, end), 0)
			if e == energy.Load {
				v = 0
				for _, part := range []int{energy.SolarHome, energy.BatteryHome, energy.GridHome} {
					v += max(g.House.kWh(part, begin, end), 0)
				}
			}
			add(name, v)
		}
		f, _ := g.together(start.UnixMilli(), all[i+1].UnixMilli())
		add("self_consumption_pct", 100*max(0, 1-(f[energy.SolarGrid]+min(f[energy.SolarBattery], f[energy.BatteryGrid]))/(f[energy.SolarHome]+f[energy.SolarBattery]+f[energy.SolarGrid])))
		add("self_sufficiency_pct", 100*max(0, 1-(f[energy.GridHome]+min(f[energy.GridBattery], f[energy.BatteryHome]))/(f[energy.SolarHome]+f[energy.BatteryHome]+f[energy.GridHome])))
		add("coverage", 1)
		add("flows_coverage", 1)
	}
	return a
}
