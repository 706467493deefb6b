package witness

import (
	"fmt"
	"math"
)

// maxPVLoad is how many times its rated AC power an inverter's PV can give: arrays are larger than inverters, and a
// battery takes what the house does not.
const maxPVLoad = 2.5

const (
	maxTrackers = 12
	anyLoad     = 1e9 // a house may use more than the inverter gives
)

// readPV reads the witnesses of the PV power that stand for themselves.
func (p *poll) readPV() {
	p.dc = p.register("total_dc_power", 1, maxPVLoad)
	p.wholeTrackers = true
	for i := range maxTrackers {
		volts, amps := fmt.Sprintf("mppt%d_voltage", i+1), fmt.Sprintf("mppt%d_current", i+1)
		reg, ok := p.Map.Lookup(volts)
		if !ok || reg.Block == "" {
			continue
		}
		v, errV := p.value(volts)
		a, errA := p.value(amps)
		if errV != nil || errA != nil || v*a == 0 {
			p.wholeTrackers = false
		}
		if errV == nil && errA == nil {
			p.trackers.speaks = true
			p.trackers.watts += v * a
		}
	}
	p.trackers.watts = math.Round(p.trackers.watts)
	if p.rated > 0 && p.trackers.watts > maxPVLoad*p.rated+500 {
		p.trackers = reading{}
	}
}

// fromAC is the PV power that AC power and battery leave over. It speaks if both are known.
func (p *poll) fromAC() reading {
	if !p.ac.speaks || p.Hybrid && !p.battery.speaks {
		return reading{}
	}
	sum := p.ac.watts + p.battery.watts
	return reading{speaks: true, watts: sum, above: loss(sum, p.ac.watts)}
}

// decidePV finds the PV power. Trackers of which one is not there say too little, so they are a lower bound only.
func (p *poll) decidePV() {
	rest := p.fromAC()
	switch {
	case p.dc.alive():
		p.pv = p.fromDC(rest)
	case p.trackers.alive():
		p.pv = p.fromTrackers(rest)
	case p.dc.speaks || p.trackers.speaks || rest.speaks:
		p.pv = p.fromNothing(rest)
	}
	if !p.pv.speaks {
		p.withhold("total_dc_power")
		return
	}
	p.silence(p.pv, p.dc)
	p.out.PVPowerW = new(max(p.pv.watts, 0))
	p.out.Asleep = !p.Hybrid && p.pv.watts == 0 && !p.nonZero("mppt1_voltage") && !p.nonZero("mppt2_voltage") && !p.nonZero("phase_a_voltage")
}

func (p *poll) fromDC(rest reading) reading {
	switch {
	case !rest.speaks, p.dc.agrees(rest):
		return p.dc
	case p.trackers.alive() && p.trackers.watts <= p.dc.watts+apart(p.dc.watts):
		return p.dc // two of three
	case p.trackers.agrees(rest):
		return p.trackers
	}
	p.doubt("pv_power_w", "total_dc_power reads %.0f W, AC power and battery leave %.0f W", p.dc.watts, rest.watts)
	return reading{}
}

func (p *poll) fromTrackers(rest reading) reading {
	switch {
	case rest.speaks && p.trackers.watts < rest.watts-apart(rest.watts):
		return rest // a tracker is missing
	case p.trackers.agrees(rest), !rest.speaks && p.wholeTrackers:
		return p.trackers
	case rest.speaks:
		p.doubt("pv_power_w", "the trackers give %.0f W, AC power and battery leave %.0f W", p.trackers.watts, rest.watts)
	}
	return reading{}
}

// fromNothing decides between a night and registers that are not there.
func (p *poll) fromNothing(rest reading) reading {
	const sun = 1 << 0
	night := reading{speaks: p.dc.speaks || p.trackers.speaks}
	flow, err := p.value("power_flow_status")
	flows := err == nil && flow != 0
	shines := flows && int(flow)&sun != 0
	switch {
	case rest.speaks && rest.watts > apart(p.ac.watts, p.battery.watts):
		if flows && !shines && night.speaks {
			return night
		}
		if p.dc.speaks && p.trackers.speaks && !p.batteryTwice && !p.twoBlocksOfGrid() {
			break // one block against one
		}
		rest.above = 0
		return rest
	case rest.speaks:
		night.speaks = true
		return night
	case !p.Hybrid:
		return night // its three witnesses read 0, and it is off at night
	case flows && !shines:
		return night
	case shines:
	case p.ac.watts > apartW:
	default:
		return night
	}
	p.doubt("pv_power_w", "it reads 0, AC power %.0f W, power_flow_status %.0f", p.ac.watts, flow)
	return reading{}
}

// readAC reads the AC power. Where its register is silent it is what house and grid get. A 0 that nothing supports is
// left open until PV and battery are known.
func (p *poll) readAC() {
	p.ac = p.register(p.family.ac, 1, 2)
	if p.ac.alive() {
		return
	}
	grid, load := p.firstGrid(), p.register(p.family.load, 1, anyLoad)
	sum := reading{speaks: grid.alive() && load.alive(), watts: grid.watts + load.watts}
	switch {
	case sum.agrees(p.ac): // it is 0
	case sum.speaks && (p.Hybrid || p.plausibleAC(sum)):
		p.ac = sum
	case p.Hybrid || !p.plausibleAC(p.ac):
		p.ac.speaks = false
	}
}

// plausibleAC reports whether PV alone can give that AC power. The house of a string inverter that sleeps gives none.
func (p *poll) plausibleAC(ac reading) bool {
	pv := p.dc
	if !pv.alive() {
		pv = p.trackers
	}
	if !pv.alive() {
		return ac.watts <= 0
	}
	ac.above = loss(pv.watts)
	return pv.agrees(ac) && (p.dc.alive() || p.wholeTrackers)
}

// settleAC believes an AC power of 0 of a unit at rest. One that converts has some.
func (p *poll) settleAC() {
	zero := p.register(p.family.ac, 1, 2)
	if !p.ac.speaks && zero.speaks && p.Hybrid && p.pv.speaks && p.battery.speaks && p.pv.watts == 0 && p.battery.watts == 0 {
		p.ac = zero
	}
}

// twoBlocksOfGrid reports whether the meter's own register confirms what the block of the AC power has.
func (p *poll) twoBlocksOfGrid() bool {
	first, second := p.family.grid[0], p.family.grid[1]
	a, b := p.register(first.name, first.sign, anyLoad), p.register(second.name, second.sign, anyLoad)
	return p.Hybrid && a.alive() && b.alive() && a.agrees(b)
}

// firstGrid is the best witness of the export that is alive.
func (p *poll) firstGrid() reading {
	for _, g := range p.family.grid {
		if r := p.register(g.name, g.sign, anyLoad); r.alive() {
			return r
		}
	}
	return reading{}
}
