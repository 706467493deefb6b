package witness

import (
	"math"
	"slices"
)

// Testimony is what one witness reads of a quantity, in the units and signs of a sample.
type Testimony struct {
	Quantity string  `json:"quantity"` // field of a sample
	By       string  `json:"by"`       // register, or what it is derived from
	Speaks   bool    `json:"speaks"`   // it was read, and can be true
	Watts    float64 `json:"watts"`
	Agrees   bool    `json:"agrees"` // with the value of the sample
}

// Testimonies returns what each witness of a poll reads, best first within a quantity: how Decide came to its result.
func Testimonies(in Poll) (all []Testimony) {
	p := decided(in, nil, nil)
	add := func(quantity string, value *float64, by string, r reading) {
		t := Testimony{Quantity: quantity, By: by, Speaks: r.speaks, Watts: math.Round(0 + r.watts)}
		t.Agrees = value != nil && r.agrees(reading{speaks: true, watts: *value})
		all = append(all, t)
	}
	out := p.out
	add("pv_power_w", out.PVPowerW, "total_dc_power", p.dc)
	add("pv_power_w", out.PVPowerW, "voltage x current of the trackers", p.trackers)
	rest := p.fromAC()
	add("pv_power_w", out.PVPowerW, "AC power + charging", rest)
	if in.Hybrid {
		signed := p.register("battery_power_signed", -1, maxBatteryLoad)
		add("battery_power_w", out.BatteryPowerW, "battery_power_signed", signed)
		add("battery_power_w", out.BatteryPowerW, "battery_power_legacy", p.directed(p.legacyPower()))
		add("battery_power_w", out.BatteryPowerW, "voltage x current of the battery", p.directed(p.batteryProduct()))
	}
	load := p.register(p.family.load, 1, anyLoad)
	for _, g := range p.family.grid {
		add("export_power_w", out.ExportPowerW, g.name, p.register(g.name, g.sign, anyLoad))
	}
	add("export_power_w", out.ExportPowerW, "AC power - load", reading{speaks: p.ac.speaks && load.speaks, watts: p.ac.watts - load.watts})
	add("load_power_w", out.LoadPowerW, p.family.load, load)
	if out.ExportPowerW != nil {
		add("load_power_w", out.LoadPowerW, "AC power - export", reading{speaks: p.ac.speaks, watts: p.ac.watts - *out.ExportPowerW})
	}
	return slices.Clip(all)
}
