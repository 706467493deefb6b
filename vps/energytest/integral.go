package energytest

import (
	"math"

	"sunspool/vps/energy"
)

// findGaps counts what makes a span one whose powers are not known throughout.
func (g *History) findGaps() {
	n, longest := 0, g.longest()
	for i, at := range g.times {
		if !g.whole[i] || i > 0 && at-g.times[i-1] > longest {
			n++
		}
		g.gaps = append(g.gaps, n)
	}
}

// longest is the longest time between two samples that is no hole, ms.
func (g *History) longest() int64 {
	return int64(float64(g.Interval.Milliseconds()) * (1.01 + g.jitter))
}

// complete reports whether all powers are known throughout [from, to), and next to it.
func (g *History) complete(from, to int64) bool {
	first, last := search(g.times, from)-2, search(g.times, to)+1
	return first >= 0 && last < len(g.times) && g.whole[first] && g.gaps[first] == g.gaps[last]
}

// integrals holds powers times time against the house, where all powers are known.
func (c *check) integrals(t *table) {
	for row := range t.rows() {
		from, to := t.span(row)
		c.other(t, row, from, to)
		if !c.complete(from, to) {
			continue
		}
		for e := range Names {
			_, counts := energyCounter(e)
			if counts && c.History.counters[energyIndex(e)].present || e == energy.Unaccounted {
				continue
			}
			want, got := c.House.kWh(e, from, to), t.kwh(e, row)
			if ofBattery(e) && !c.House.Battery {
				if got == got && got > 0.001 {
					c.fault(Integrated, "%s: %s is %.3f, there is no battery", t.name(row), Names[e], got)
				}
				continue
			}
			spare := 0.02 + 0.01*want
			if c.means { // what went there and back is not in them
				spare += 0.04
			}
			if !(math.Abs(got-want) <= spare) && !(math.Abs(got-want) <= spare+c.bend(e, from, to)) {
				c.fault(Integrated, "%s: %s is %.3f, really %.3f", t.name(row), Names[e], got, want)
			}
		}
	}
}

// other holds what another generator gave beyond the load against the most that it can have been.
func (c *check) other(t *table, row int, from, to int64) {
	got, most := t.kwh(energy.Other, row), c.House.kWh(energy.Other, from, to)
	if got > 0.05+1.02*most && got > 0.05+1.02*most+c.bend(energy.Other, from, to) {
		c.fault(Integrated, "%s: another generator gave %.3f, really %.3f beyond the load", t.name(row), got, most)
	}
	if !(got > 0) && most > 0.5 && c.seenOther(from, to) > 3 {
		c.fault(Integrated, "%s: another generator gave %.3f beyond the load, the answer is %.3f", t.name(row), most, got)
	}
}

// seenOther counts the samples in [from, to) whose load shows another generator.
func (g *History) seenOther(from, to int64) (n int) {
	for i := range g.Samples {
		s := &g.Samples[i]
		if at := s.Time.UnixMilli(); at >= from && at < to && s.LoadPowerW != nil && *s.LoadPowerW < -100 {
			n++
		}
	}
	return n
}

// bend returns how far the energy e can be from what powers at the polls show of it, kWh: one that begins or ends between
// two polls is known no better.
func (g *History) bend(e int, from, to int64) (kwh float64) {
	last, at := 0.0, int64(0)
	for i := max(0, search(g.times, from)-1); i < len(g.times); i++ {
		w := g.House.at(g.times[i]).flows()[e]
		if at > 0 {
			kwh = max(kwh, math.Abs(w-last)*float64(g.times[i]-at)/3.6e9)
		}
		if g.times[i] >= to {
			break
		}
		last, at = w, g.times[i]
	}
	return kwh / 2
}

func energyIndex(e int) int {
	for k, v := range counted {
		if v == e {
			return k
		}
	}
	return -1
}

func energyCounter(e int) (k int, ok bool) { k = energyIndex(e); return k, k >= 0 }

func ofBattery(e int) bool {
	switch e {
	case energy.Charge, energy.Discharge, energy.SolarBattery, energy.BatteryHome, energy.BatteryGrid, energy.GridBattery:
		return true
	}
	return false
}

// parts are what cannot be more than a whole.
var parts = []struct {
	whole int
	parts []int
}{
	{energy.PV, []int{energy.SolarHome, energy.SolarBattery, energy.SolarGrid}},
	{energy.Load, []int{energy.SolarHome, energy.BatteryHome, energy.GridHome}},
	{energy.Import, []int{energy.GridHome, energy.GridBattery}},
	{energy.Export, []int{energy.SolarGrid, energy.BatteryGrid}},
	{energy.Charge, []int{energy.SolarBattery, energy.GridBattery}},
	{energy.Discharge, []int{energy.BatteryHome, energy.BatteryGrid}},
}

// parts holds parts against their wholes. A whole that is counted is known to its last digit, and a lower bound where the
// counter is another.
func (c *check) parts(t *table) {
	for row := range t.rows() {
		for e := range Names {
			if v := t.kwh(e, row); v < 0 && e != energy.Unaccounted {
				c.fault(Parts, "%s: %s is %.3f", t.name(row), Names[e], v)
			}
		}
		for _, p := range parts {
			whole, sum := t.kwh(p.whole, row), 0.0
			for _, e := range p.parts {
				if v := t.kwh(e, row); v == v {
					sum += v
				}
			}
			if whole != whole {
				if sum > 0.01 {
					c.fault(Parts, "%s: the parts of %s are %.3f, the whole is null", t.name(row), Names[p.whole], sum)
				}
				continue
			}
			spare := 0.01 + 0.01*whole
			if k, ok := energyCounter(p.whole); ok && c.History.counters[k].present {
				from, to := t.span(row)
				least, most, slack := c.bounds(k, from, to)
				spare += c.slack(t, k, slack) + most - least
			}
			if sum > whole+spare {
				c.fault(Parts, "%s: the parts of %s are %.3f, the whole %.3f", t.name(row), Names[p.whole], sum, whole)
			}
		}
		for _, name := range []string{"self_consumption_pct", "self_sufficiency_pct"} {
			if v := t.value(name, row); v < 0 || v > 100 {
				c.fault(Parts, "%s: %s is %.1f", t.name(row), name, v)
			}
		}
	}
}

// ratios holds both ratios against what is known in the time for which all powers are.
func (c *check) ratios(t *table) {
	for row := range t.rows() {
		from, to := t.span(row)
		f, loose := c.together(from, to)
		complete := c.complete(from, to)
		for name, r := range map[string]struct {
			part, whole float64
			bends       []int // what of it may begin or end between two polls
		}{
			"self_consumption_pct": {f[energy.SolarGrid] + min(f[energy.SolarBattery], f[energy.BatteryGrid]), f[energy.SolarHome] + f[energy.SolarBattery] + f[energy.SolarGrid], []int{energy.SolarGrid, energy.SolarHome, energy.SolarBattery}},
			"self_sufficiency_pct": {f[energy.GridHome] + min(f[energy.GridBattery], f[energy.BatteryHome]), f[energy.SolarHome] + f[energy.BatteryHome] + f[energy.GridHome], []int{energy.GridHome, energy.SolarHome, energy.BatteryHome}},
		} {
			got := t.value(name, row)
			if got != got {
				if complete && r.whole > 0.5 {
					c.fault(Ratio, "%s: %s is null, all is known", t.name(row), name)
				}
				continue
			}
			want := 100 * (1 - r.part/r.whole)
			bend := 0.0
			for _, e := range r.bends {
				bend += c.bend(e, from, to)
			}
			if r.whole > 0.5 && math.Abs(got-want) > 1.5+100*(0.03+loose+bend)/r.whole {
				c.fault(Ratio, "%s: %s is %.1f, of the time for which all powers are known %.1f (of %.2f kWh)", t.name(row), name, got, want, r.whole)
			}
		}
	}
}

// noise is how far below 0 a load may be measured that is 0, W.
const noise = 100

// together returns the energies in [from, to) of the time for which all powers are known, and how much of them is loose,
// kWh: a sample beside a hole speaks for a time that only its neighbours know.
func (g *History) together(from, to int64) (f [energy.Energies]float64, loose float64) {
	half := g.Interval.Milliseconds() / 2
	for i := max(0, search(g.times, from)-1); i < len(g.times) && g.times[i]-half < to; i++ {
		a, b := max(from, g.times[i]-half), min(to, g.times[i]+half)
		if a >= b {
			continue
		}
		if !g.whole[i] {
			if load := g.House.at(g.times[i]).Load; load < 0 && load > -noise { // may be said to be 0
				loose += g.House.kWh(energy.PV, a, b)
			}
			continue
		}
		for e := range f {
			f[e] += g.House.kWh(e, a, b)
		}
		if i == 0 || i == len(g.times)-1 || max(g.times[i]-g.times[i-1], g.times[i+1]-g.times[i]) > g.longest() {
			loose += g.House.kWh(energy.PV, a, b) + math.Abs(g.House.kWh(energy.Load, a, b))
		}
	}
	return f, loose
}

// coverage of a span whose powers are all known is about 1, and of none more than that.
func (c *check) coverage(t *table) {
	for row := range t.rows() {
		from, to := t.span(row)
		for _, name := range []string{"coverage", "flows_coverage"} {
			v := t.value(name, row)
			if v < 0 || v > 1 || c.complete(from, to) && !(v >= 0.97) {
				c.fault(Coverage, "%s: %s is %.4f", t.name(row), name, v)
			}
		}
	}
}
