package witness

import (
	"errors"
	"math"
	"slices"

	"sunspool/edge/registers"
)

// What the sign of the battery's power was taken from.
const (
	BySignedPower = "battery_power_signed"
	ByLegacySign  = "sign of battery_power_legacy"
	ByFlowBits    = "power_flow_status"
	ByCurrentSign = "sign of the battery current"
	ByBalance     = "what PV and AC leave over"
	ByIdle        = "no power"

	undirected = "nothing"
)

// Bits of power_flow_status.
const (
	charging    = 1 << 1
	discharging = 1 << 2
)

// maxBatteryLoad is how many times the inverter's rated power its battery can give or take.
const maxBatteryLoad = 4

// hasBattery reports whether anything shows a battery. A charge of 0 alone is an empty one.
func (p *poll) hasBattery() bool {
	return slices.ContainsFunc([]string{
		"battery_voltage", "battery_soc", "battery_soh", "battery_power_signed", "battery_power_legacy",
		"battery_current_legacy", "battery_current_signed",
	}, p.nonZero)
}

// decideBattery finds power, charge and temperature of the battery.
func (p *poll) decideBattery() {
	if !p.hasBattery() {
		_, err := p.value("battery_voltage")
		p.out.NoBattery = !errors.Is(err, registers.ErrNotRead)
		p.withhold(p.family.battery...)
		p.battery = p.idle(reading{speaks: p.out.NoBattery}, 3)
		return
	}
	p.decideBatteryPower()
	past := p.past
	if past == nil {
		past = new(Past)
	}
	p.out.BatterySOCPct = p.gauge("battery_soc", p.charge, past.soc.recent(p.At))
	p.out.BatteryTempC = p.gauge("battery_temperature", p.value, past.temp.recent(p.At))
}

func (p *poll) decideBatteryPower() {
	signed := p.register("battery_power_signed", -1, maxBatteryLoad)
	signed.by = BySignedPower
	legacy, product := p.directed(p.legacyPower()), p.directed(p.batteryProduct())
	if p.minusOne("battery_power_signed") && !signed.speaks {
		signed.speaks, signed.watts = legacy.watts == 1, 1
	}
	all := []reading{signed, legacy, product}
	chosen := reading{}
	zeros := 0
	for _, w := range all {
		switch {
		case w.alive() && !chosen.alive():
			chosen = w
		case w.speaks && w.watts == 0:
			zeros++
		}
	}
	switch {
	case chosen.alive():
		chosen = p.undisputed(chosen, all)
	case legacy.by == undirected || product.by == undirected:
		p.doubt("battery_power_w", "nothing shows whether the battery charges or discharges")
	case zeros > 0:
		chosen = p.idle(reading{speaks: true, by: ByIdle}, zeros)
		if !chosen.speaks {
			p.doubt("battery_power_w", "it reads 0, and what PV and AC leave over or power_flow_status does not")
		}
	}
	if !chosen.speaks {
		for _, w := range all {
			p.withhold(w.registers...)
		}
		return
	}
	p.silence(chosen, all...)
	p.battery, p.out.Battery = chosen, chosen.by
	p.out.BatteryPowerW = new(0 + chosen.watts)
}

// undisputed returns the battery power that the witnesses agree on, or none. Of two that do not agree, only the signed
// power can be right: what PV and AC leave over comes from the block of the others, and both may be of another time.
func (p *poll) undisputed(best reading, all []reading) reading {
	window := p.window()
	for _, other := range all {
		if !other.alive() {
			continue
		}
		if other.agrees(best) {
			p.batteryTwice = p.batteryTwice || other.registers[0] != best.registers[0] && best.registers[0] == all[0].registers[0]
			continue
		}
		if best.registers[0] != all[0].registers[0] || !best.agrees(window) || other.agrees(window) {
			p.blocksDiffer = true
			p.doubt("battery_power_w", "%s reads %.0f W, %s %.0f W", best.registers[0], best.watts, other.registers[0], other.watts)
			return reading{}
		}
	}
	if window.speaks && !best.agrees(window) && best.negative().agrees(window) {
		p.doubt("battery_power_w", "%s reads %.0f W, PV and AC leave %.0f W", best.registers[0], best.watts, window.watts+window.above)
		return reading{}
	}
	return best
}

// window is the battery power that PV and AC power leave over. It speaks only where the sun does: a PV power of 0 may be
// a register that is not there.
func (p *poll) window() reading {
	pv := p.dc
	if !pv.alive() {
		pv = p.trackers
		if !p.wholeTrackers {
			return reading{}
		}
	}
	return p.windowOf(pv)
}

func (p *poll) windowOf(pv reading) reading {
	if !pv.speaks || !p.ac.speaks {
		return reading{}
	}
	left := pv.watts - p.ac.watts
	most := loss(pv.watts, p.ac.watts)
	return reading{speaks: pv.alive(), watts: left - most, above: most}
}

// idle is a battery power of 0, which so many witnesses read, if something supports it: flow bits, or PV and AC that
// leave nothing over.
func (p *poll) idle(zero reading, witnesses int) reading {
	flow, err := p.value("power_flow_status")
	flows := err == nil && flow != 0
	rests := flows && int(flow)&(charging|discharging) == 0
	window := p.window()
	switch {
	case !zero.speaks:
	case window.speaks:
		zero.speaks = zero.agrees(window) && (rests || witnesses > 1)
	case flows:
		zero.speaks = rests
	default:
		zero.speaks = zero.agrees(p.nightWindow())
	}
	return zero
}

// nightWindow is window with a PV power of 0 believed.
func (p *poll) nightWindow() reading {
	night := p.dc.speaks && p.dc.watts == 0 && p.trackers.watts == 0
	w := p.windowOf(reading{speaks: night})
	w.speaks = night && p.ac.speaks
	return w
}

// legacyPower returns battery_power_legacy as it is. Its 0xFFFF is -1 W, or a hole; in a hole the current is one too.
func (p *poll) legacyPower() reading {
	r := p.register("battery_power_legacy", 1, maxBatteryLoad)
	if p.minusOne("battery_power_legacy") {
		if _, err := p.value("battery_current_legacy"); err == nil {
			r.speaks, r.watts = true, -1
		}
	}
	return r
}

// batteryProduct is voltage times current, in the sign of the current.
func (p *poll) batteryProduct() reading {
	r := reading{registers: []string{"battery_current_legacy"}}
	volts, err := p.value("battery_voltage")
	if err != nil {
		return r
	}
	for _, name := range []string{"battery_current_legacy", "battery_current_signed"} {
		amps, err := p.value(name)
		if err == nil && (!r.speaks || r.watts == 0) {
			r.speaks, r.watts, r.registers = true, math.Round(volts*amps), []string{name}
		}
	}
	return r
}

// directed gives a power that may be a magnitude this program's sign: it was one on old firmware, is signed on newer,
// and is always positive on some units.
func (p *poll) directed(r reading) reading {
	if !r.speaks || r.watts == 0 {
		return r
	}
	if r.watts < 0 {
		r.by = ByLegacySign
		return r.negative()
	}
	charges, by := p.direction(r)
	r.by = by
	switch {
	case by == undirected:
		r.speaks = false
	case !charges:
		r = r.negative()
	}
	return r
}

// direction reports whether the battery charges with the power of r, and what shows it.
func (p *poll) direction(r reading) (charges bool, by string) {
	flow, _ := p.value("power_flow_status")
	switch int(flow) & (charging | discharging) {
	case charging:
		return true, ByFlowBits
	case discharging:
		return false, ByFlowBits
	}
	for _, name := range []string{"battery_current_legacy", "battery_current_signed"} {
		if amps, err := p.value(name); err == nil && amps < 0 {
			return true, ByCurrentSign
		}
	}
	window := p.window()
	if !window.speaks {
		window = p.nightWindow()
	}
	if in, out := r.agrees(window), r.negative().agrees(window); in != out {
		return in, ByBalance
	}
	return false, undirected
}

// charge is the state of charge. Some units count a little beyond 100 %.
func (p *poll) charge(name string) (float64, error) {
	v, err := p.value(name)
	if errors.Is(err, registers.ErrImplausible) && v > 100 && v <= 101 {
		return 100, nil
	}
	return v, err
}

// gauge is a value that may well be 0, as one that is not there: it is believed after a value near it.
func (p *poll) gauge(name string, value func(string) (float64, error), before *float64) *float64 {
	const near = 5
	v, err := value(name)
	if err != nil || v == 0 && (before == nil || *before > near || *before < -near) {
		p.withhold(name)
		return nil
	}
	return &v
}
