package witness

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/edge/registers"
)

// plant is what really happens at one instant in the house of a generated unit.
type plant struct {
	pv, battery, ac, load, export float64
	soc, temp                     float64
	grid                          float64   // V
	volts, amps                   []float64 // of the trackers
}

// unit is a generated inverter.
type unit struct {
	model          registers.Model
	mapping        *registers.Map
	rated          float64
	battery, meter bool
	magnitude      bool // old firmware: the legacy power has no sign
	voltage        float64
	marks          bool // without a meter 5600 is marked, as on a LAN port
	lost           bool // it had a meter once: the counters stay
}

func newUnit(rng *rand.Rand) unit {
	names := []string{"SH4.0RS", "SH10RT", "SH15T", "SH8.0RT-20", "SG5.0RS", "SG10RT", "SG8K-D", "SG5KTL-MT"}
	model, ok := registers.ModelNamed(names[rng.IntN(len(names))])
	if !ok {
		panic("no such model")
	}
	return unit{
		model: model, mapping: model.Map(), rated: float64(3+rng.IntN(12)) * 1000, battery: model.Hybrid && rng.IntN(4) > 0,
		meter: rng.IntN(4) > 0, magnitude: rng.IntN(2) == 0, voltage: float64(150 + rng.IntN(350)), marks: rng.IntN(2) == 0,
		lost: rng.IntN(2) == 0,
	}
}

func (u unit) plant(rng *rand.Rand) plant {
	h := plant{soc: math.Round(50+rng.Float64()*500) / 10, temp: math.Round(50+rng.Float64()*350) / 10,
		grid: math.Round(2250+rng.Float64()*150) / 10}
	h.volts, h.amps = make([]float64, u.model.MPPTs), make([]float64, u.model.MPPTs)
	if rng.IntN(10) < 7 {
		for i := range h.volts {
			h.volts[i] = math.Round(2000+rng.Float64()*3000) / 10
			h.amps[i] = math.Round((0.5+rng.Float64()*u.rated/float64(u.model.MPPTs)/h.volts[i])*10) / 10
			h.pv += h.volts[i] * h.amps[i]
		}
		h.pv = math.Round(h.pv)
	}
	if u.battery {
		switch limit := 0.8 * u.rated; rng.IntN(3) {
		case 0:
			h.battery = math.Round(min(100+rng.Float64()*limit, h.pv))
		case 1:
			h.battery = -math.Round(100 + rng.Float64()*limit)
		}
		if h.battery < 100 && h.battery > 0 {
			h.battery = 0
		}
	}
	lost := 10 + rng.Float64()*(0.9*loss(h.pv)-10)
	if h.pv == 0 && h.battery == 0 {
		lost = float64(rng.IntN(25))
	}
	h.ac = math.Round(h.pv - h.battery - lost)
	if !u.model.Hybrid && h.pv == 0 {
		h.ac = 0
	}
	h.load = math.Round(150 + rng.Float64()*5000)
	h.export = h.ac - h.load
	return h
}

// words are the registers of the unit in that plant.
func (u unit) words(h plant) registers.Words {
	w := registers.Words{}
	for _, b := range u.mapping.Reads() {
		for i := range b.Count {
			w[b.Start+i] = 0
		}
	}
	set := func(name string, v float64) {
		reg, ok := u.mapping.Lookup(name)
		if !ok {
			return
		}
		words, err := reg.Encode(v)
		if err != nil {
			panic(fmt.Sprint(name, v, err))
		}
		for i, word := range words {
			w[reg.Address()+uint16(i)] = word
		}
	}
	set("device_type_code", float64(u.model.Code))
	set("nominal_power", u.rated/1000)
	set("inverter_temperature", 41.8)
	for i := range h.volts {
		set(fmt.Sprintf("mppt%d_voltage", i+1), h.volts[i])
		set(fmt.Sprintf("mppt%d_current", i+1), h.amps[i])
	}
	set("total_dc_power", h.pv)
	set("phase_a_voltage", h.grid)
	meter, load, export := -h.export, h.load, h.export
	if !u.meter {
		meter, load, export = 0, h.ac, 0
	}
	if u.meter || u.lost {
		for name, v := range map[string]float64{"total_import_energy": 3921.6, "total_export_energy": 8160.2} {
			set(name, v)
			set(name+"_string", v)
		}
	}
	set("total_active_power_string", h.ac)
	set("apparent_power", math.Abs(h.ac)+3)
	set("meter_power_string", meter)
	set("load_power_string", load)
	set("total_yield_string", 16071)
	set("total_active_power", h.ac)
	set("load_power", load)
	set("export_power", export)
	if !u.meter && u.marks && u.model.Hybrid {
		w[5600], w[5601] = 0xFFFF, 0x7FFF
	} else if u.model.Hybrid {
		set("meter_active_power", meter)
	}
	set("running_state", 64)
	set("total_pv_generation", 15873.4)
	set("total_direct_consumption", 5000)
	flow := 0
	for bit, on := range map[int]bool{0: h.pv > 0, 1: h.battery > 0, 2: h.battery < 0, 3: load > 0, 4: export > 30, 5: export < -30} {
		if on {
			flow |= 1 << bit
		}
	}
	set("power_flow_status", float64(flow))
	if u.battery {
		set("battery_voltage", u.voltage)
		set("battery_power_signed", -h.battery)
		amps, power := -h.battery/u.voltage, -h.battery
		if u.magnitude {
			amps, power = math.Abs(amps), math.Abs(power)
		}
		set("battery_current_legacy", amps)
		set("battery_current_signed", -h.battery/u.voltage)
		set("battery_power_legacy", power)
		set("battery_soc", h.soc)
		set("battery_soh", 97)
		set("battery_temperature", h.temp)
		set("total_battery_charge", 700)
		set("total_battery_discharge", 600)
	}
	return w
}

// spoiled is a poll of which something is gone or of another time.
type spoiled struct {
	unit   unit
	truth  plant
	past   *Past
	in     Poll
	intact func(name string) bool // a register is as the truth has it
	how    string
}

func spoil(rng *rand.Rand) spoiled {
	u := newUnit(rng)
	before, now := u.plant(rng), u.plant(rng)
	c := spoiled{unit: u, truth: now}
	past, words, clean := u.words(before), u.words(now), u.words(now)
	reads := u.mapping.Reads()
	block := reads[1+rng.IntN(len(reads)-1)]
	other := registers.Words{}
	switch rng.IntN(4) {
	case 0:
		c.lack(rng, past, words)
	case 1:
		c.how = "zero " + block.Name
		c.lack(rng, past, words)
	case 2: // where nothing contradicts them, words of another time cannot be told from true ones: nothing is missing here
		c.how, other = "frozen "+block.Name, past
	case 3:
		if block.Name != "A" { // which has the type of the inverter
			c.how, other = "swapped "+block.Name, u.words(u.plant(rng))
		}
	}
	for i := range block.Count {
		if a := block.Start + i; c.how != "" && a != 4999 {
			words[a] = other[a]
		}
	}
	c.past = new(Past)
	first := Poll{At: noon, Words: past, Map: u.mapping, Hybrid: u.model.Hybrid}
	c.past.Learn(first.At, first, Decide(first, nil))
	c.in = Poll{At: noon.Add(5 * time.Second), Words: words, Map: u.mapping, Hybrid: u.model.Hybrid}
	c.intact = func(name string) bool {
		reg, ok := u.mapping.Lookup(name)
		for i := range reg.Words {
			w, there := words[reg.Address()+i]
			ok = ok && there && w == clean[reg.Address()+i]
		}
		return ok
	}
	return c
}

// lack takes registers away that the unit does not have, in each of the ways in which they can be missing.
func (c spoiled) lack(rng *rand.Rand, polls ...registers.Words) {
	share := []float64{0, 0.02, 0.1, 0.3}[rng.IntN(4)]
	for reg := range c.unit.mapping.All() {
		if reg.Kind == registers.Holding || reg.Block == "" || reg.Name == "device_type_code" || rng.Float64() >= share {
			continue
		}
		way := rng.IntN(3)
		for _, words := range polls {
			for i := range reg.Words {
				switch a := reg.Address() + i; way {
				case 0:
					words[a] = 0
				case 1:
					words[a] = 0xFFFF
					if (reg.Type == registers.S16 || reg.Type == registers.S32) && i == reg.Words-1 {
						words[a] = 0x7FFF
					}
				case 2:
					delete(words, a)
				}
			}
		}
	}
}

// night reports whether no word of the poll is left that tells it from one without sun.
func (c spoiled) night() bool {
	p := &poll{Poll: c.in, family: stringInverter, withheld: map[string]bool{}}
	p.readPV()
	if p.dc.alive() || p.trackers.alive() {
		return false
	}
	if c.in.Hybrid {
		flow, err := p.value("power_flow_status")
		return err != nil || int(flow)&1 == 0
	}
	return !p.register("total_active_power_string", 1, 2).alive()
}

// unseen reports whether the words of another time add up with the rest, so that nothing tells them from true ones.
func (c spoiled) unseen() bool {
	if c.how == "" || strings.HasPrefix(c.how, "zero") {
		return false
	}
	value := func(name string) (v float64, ok bool) {
		reg, _ := c.in.Map.Lookup(name)
		v, err := reg.Decode(c.in.Words)
		return v, err == nil
	}
	if !c.in.Hybrid { // of block A, or of C
		ac, _ := value("total_active_power_string")
		load, _ := value("load_power_string")
		meter, _ := value("meter_power_string")
		return !c.unit.meter || math.Abs(load-meter-ac) <= 2*apart(load, meter, ac) || math.Abs(ac-load) < apart(ac, load)
	}
	export, _ := value("export_power")
	ac, known := value("total_active_power")
	battery, working := value("battery_power_legacy")
	flow, _ := value("power_flow_status")
	if int(flow)&charging == 0 {
		battery = -math.Abs(battery)
	}
	likeTruth := math.Abs(export-c.truth.export) <= 2*apart(export, c.truth.ac) || c.truth.battery != 0 && math.Abs(battery-c.truth.battery) <= 2*apart(battery)
	if !known || !working || likeTruth {
		return true
	}
	left, tolerance := c.truth.pv-ac-math.Copysign(battery, battery), 2*apart(c.truth.pv, ac, battery)
	if int(flow)&charging != 0 {
		left = c.truth.pv - ac - math.Abs(battery)
	}
	return left >= -tolerance && left <= loss(c.truth.pv, ac, battery)+tolerance
}

// verdict says what is wrong with a result, "" if nothing is.
func (c spoiled) verdict(r Result) string {
	h := c.truth
	most := apart(h.pv, h.battery, h.ac, h.load, h.export)
	if c.night() && h.pv > 0 {
		return "" // as at night
	}
	if r.PVPowerW == nil {
		if c.intact("total_dc_power") && h.pv > 0 && c.how == "" {
			return fmt.Sprintf("PV is %v W, and there is no sample: %v", h.pv, r.Doubts)
		}
		return "" // nothing is published
	} else if *r.PVPowerW < h.pv-most-loss(h.pv, h.ac) || *r.PVPowerW > h.pv+most {
		return fmt.Sprintf("PV is %v W, published %v", h.pv, *r.PVPowerW)
	}
	nothing := math.NaN()
	truth := map[string]float64{"battery_power_w": nothing, "battery_soc_pct": nothing, "battery_temp_c": nothing, "load_power_w": nothing, "export_power_w": nothing}
	if c.unit.battery {
		truth["battery_power_w"], truth["battery_soc_pct"], truth["battery_temp_c"] = h.battery, h.soc, h.temp
	}
	if c.unit.meter {
		truth["load_power_w"], truth["export_power_w"] = h.load, h.export
	}
	got := fields(r)
	for _, name := range slices.Sorted(maps.Keys(truth)) {
		want, tolerance := truth[name], most
		if name == "battery_soc_pct" || name == "battery_temp_c" {
			tolerance = 0.2
			if len(c.how) > 5 && c.how[:4] != "zero" {
				continue // of another minute
			}
		}
		if v := got[name]; v != nil && !(math.Abs(*v-want) <= tolerance) {
			return fmt.Sprintf("%s is %v, published %v", name, want, *v)
		}
	}
	return ""
}

// play spoils n polls, and returns how many results of decide are wrong.
func play(t *testing.T, seed uint64, n int, decide func(Poll, *Past) Result) (wrong int) {
	t.Helper()
	for i := range n {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		c := spoil(rng)
		why := c.verdict(decide(c.in, c.past))
		if why == "" || c.unseen() {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Logf("case %d: %s %s: %s\n%+v", i, c.unit.model.Name, c.how, why, c.truth)
		}
	}
	return wrong
}

var polls = flag.Int("polls", 30_000, "how many polls TestWhatIsPublishedIsRightOrNull plays")

// Whatever is missing of a poll, in each of the ways in which an inverter does not have a register, and whichever of its
// blocks is of another time: each field is right or nil, and no sample is lost while PV is known.
func TestWhatIsPublishedIsRightOrNull(t *testing.T) {
	n := *polls
	if testing.Short() {
		n = min(n, 10_000)
	}
	if wrong := play(t, 1, n, Decide); wrong > 0 {
		t.Errorf("%d of %d are wrong", wrong, n)
	}
}

// A fault that the property is there for is noticed soon.
func TestPlantedFaultsAreNoticed(t *testing.T) {
	value := func(in Poll, name string) *float64 {
		reg, _ := in.Map.Lookup(name)
		v, err := reg.Decode(in.Words)
		if err != nil {
			return nil
		}
		return &v
	}
	for name, decide := range map[string]func(Poll, *Past) Result{
		"a load is one register": func(in Poll, past *Past) Result {
			r := Decide(in, past)
			if in.Hybrid {
				r.LoadPowerW = value(in, "load_power")
			}
			return r
		},
		"a meter that was there once is there": func(in Poll, past *Past) Result {
			r := Decide(in, past)
			if bought := value(in, "total_import_energy"); r.NoMeter && in.Hybrid && bought != nil && *bought > 0 {
				r.LoadPowerW, r.ExportPowerW = value(in, "load_power"), value(in, "export_power")
			}
			return r
		},
		"a block of zeros is a reading": func(in Poll, past *Past) Result {
			r := Decide(in, past)
			for _, block := range in.Map.Reads() {
				if Empty(block, in.Words) && block.Name == "A" {
					r.PVPowerW = new(0.0)
				}
			}
			return r
		},
	} {
		if play(t, 1, 1000, decide) == 0 {
			t.Errorf("%s: not noticed in 1,000 polls", name)
		}
	}
}
