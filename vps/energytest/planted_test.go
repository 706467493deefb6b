package energytest

import (
	"slices"
	"testing"
	"time"

	"sunspool/vps/energy"
	"sunspool/wire"
)

// planted are faults of known kinds, each of which makes right answers about a history wrong.
var planted = map[string]struct {
	kind  string
	wrong func(g *History, ask Ask) Ask
}{
	"a step back forgotten": {Counted, func(g *History, ask Ask) Ask {
		return g.each(ask, func(a *Answer, row int, from, to time.Time) {
			for k, e := range counted {
				if g.counters[k].present {
					a.Columns[Names[e]][row] += g.again(k, from, to)
				}
			}
		})
	}},
	"hours not joined": {Integrated, func(g *History, ask Ask) Ask {
		return g.each(ask, func(a *Answer, row int, from, to time.Time) {
			a.Columns[Names[energy.Load]][row] = g.alone(from, to)
		})
	}},
	"a ratio over different times": {Ratio, func(g *History, ask Ask) Ask {
		return g.each(ask, func(a *Answer, row int, from, to time.Time) {
			known, _ := g.together(from.UnixMilli(), to.UnixMilli())
			a.Columns["self_consumption_pct"][row] = 100 * min(max(1-known[energy.SolarGrid]/a.Columns[Names[energy.PV]][row], 0), 1)
		})
	}},
}

// TestPlantedFaultsAreNoticed within a hundred histories: the checks are worth something.
func TestPlantedFaultsAreNoticed(t *testing.T) {
	for name, p := range planted {
		t.Run(name, func(t *testing.T) {
			noticed := 0
			var house *House
			for i := range uint64(100) {
				if i%10 == 0 {
					house = NewHouse(i / 10)
				}
				g := New(i, house)
				faults := g.Check(p.wrong(g, g.truth))
				at := slices.IndexFunc(faults, func(f Fault) bool { return f.Kind == p.kind })
				if at < 0 {
					continue
				}
				if noticed++; noticed == 1 {
					t.Logf("%s%s", g, faults[at])
				}
			}
			if noticed == 0 {
				t.Error("a hundred histories do not show it")
			}
			t.Logf("%d of 100 histories show it", noticed)
		})
	}
}

// each changes every row of the answers.
func (g *History) each(ask Ask, change func(a *Answer, row int, from, to time.Time)) Ask {
	return func(resolution string, from, to time.Time) Answer {
		a := ask(resolution, from, to)
		all := starts(resolution, from, to, g.House.Zone)
		for row := range min(len(a.From), len(all)-1) {
			change(&a, row, all[row], all[row+1])
		}
		return a
	}
}

// again is what a counter that went back rose a second time.
func (g *History) again(k int, from, to time.Time) (kwh float64) {
	last, high, at := 0.0, 0.0, time.Time{}
	for i := range g.Samples {
		s := &g.Samples[i]
		v := [5]*float64{s.PVTotalKWh, s.ImportTotalKWh, s.ExportTotalKWh, s.ChargeTotalKWh, s.DischargeTotalKWh}[k]
		if v == nil || *v == 0 {
			continue
		}
		if !s.Time.Before(to) {
			break
		}
		if rise := min(*v, high) - last; !at.IsZero() && !s.Time.Before(from) && rise > 0 && rise < 1+500*s.Time.Sub(at).Hours() {
			kwh += rise
		}
		last, high, at = *v, max(high, *v), s.Time
	}
	return kwh
}

// alone integrates the load of each hour without the hours beside it.
func (g *History) alone(from, to time.Time) (kwh float64) {
	var last *wire.Sample
	for i := range g.Samples {
		s := &g.Samples[i]
		if s.LoadPowerW == nil || s.Time.Before(from) || !s.Time.Before(to) {
			continue
		}
		if last != nil && s.Time.Sub(last.Time) <= 20*time.Minute && s.Time.Truncate(time.Hour).Equal(last.Time.Truncate(time.Hour)) {
			kwh += (*last.LoadPowerW + *s.LoadPowerW) / 2 * s.Time.Sub(last.Time).Hours() / 1000
		}
		last = s
	}
	return kwh
}
