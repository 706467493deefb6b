package simulator

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"sunspool/edge/registers"
)

// bank writes what a Plant measures into the registers of its model, by their names: the map knows where they are.
type bank struct {
	model  registers.Model
	gauges []gauge
	texts  registers.Words // of the identity, which never change
}

// gauge is a register and where its value comes from.
type gauge struct {
	registers.Register
	value func(*Plant) float64
}

// newBank prepares the registers of h.
func newBank(h *Home) (*bank, error) {
	model, ok := registers.ModelNamed(h.site.model)
	if !ok {
		return nil, fmt.Errorf("the register map does not know the model %s", h.site.model)
	}
	b := &bank{model: model, texts: make(registers.Words)}
	values := b.values(h)
	for r := range model.Map().All() {
		if value, ok := values[r.Name]; ok {
			b.gauges = append(b.gauges, gauge{r, value})
		}
		text, ok := map[string]string{
			"arm_software_version": firmware[model.Family] + "_ARM",
			"dsp_software_version": firmware[model.Family] + "_DSP",
			"serial_number":        fmt.Sprintf("%s%08d", h.site.serial, h.seed%1e8),
			"inverter_firmware":    firmware[model.Family],
			"comm_module_firmware": "SIMULATED-DONGLE",
			"battery_firmware":     "SIMULATED-BATTERY",
		}[r.Name]
		if !ok {
			continue
		}
		words, err := r.EncodeText(text)
		if err != nil {
			return nil, err
		}
		store(b.texts, r, words)
	}
	return b, nil
}

// firmware is the name of the software by family.
var firmware = map[string]string{"SH-RS": "SIM-RS_01011", "SH-RT": "SIM-RT_01011", "SG-RS": "SIM-SG_01011"}

// read returns the words of both register tables. It fails if a value does not fit into its register.
func (b *bank) read(p *Plant) (input, holding registers.Words, err error) {
	input, holding = make(registers.Words, 192), make(registers.Words, 32)
	maps.Copy(input, b.texts)
	for _, g := range b.gauges {
		words, err := g.Encode(g.value(p))
		if err != nil {
			return nil, nil, err
		}
		if g.Kind == registers.Holding {
			store(holding, g.Register, words)
		} else {
			store(input, g.Register, words)
		}
	}
	return input, holding, nil
}

func store(w registers.Words, r registers.Register, words []uint16) {
	for i, word := range words {
		w[r.Address()+uint16(i)] = word
	}
}

// knows reports whether the family has a register at a wire address. Reading from a reserved one is refused.
func (b *bank) knows() func(kind registers.Kind, address uint16) bool {
	family := registers.String()
	if b.model.Hybrid {
		family = registers.Hybrid()
	}
	type place struct {
		kind    registers.Kind
		address uint16
	}
	known := make(map[place]bool)
	for r := range family.All() {
		for i := range r.Words {
			known[place{r.Kind, r.Address() + i}] = true
		}
	}
	return func(kind registers.Kind, address uint16) bool { return known[place{kind, address}] }
}

// values says what each register shows. The battery registers have the inverter's sign, which is not Plant's: positive
// is discharging. A register of the map that is not here reads 0.
func (b *bank) values(h *Home) map[string]func(*Plant) float64 {
	values := map[string]func(*Plant) float64{}
	set := func(name string, value func(*Plant) float64) { values[name] = value }
	constant := func(name string, v float64) { set(name, func(*Plant) float64 { return v }) }

	constant("protocol_version", 0x01010B00)
	constant("device_type_code", float64(b.model.Code))
	constant("nominal_power", h.site.rated/1000)
	constant("output_type", map[int]float64{1: 0, 3: 1}[h.site.phases])
	constant("power_factor", 1)
	set("inverter_temperature", func(p *Plant) float64 { return p.InverterTemp })
	set("total_dc_power", func(p *Plant) float64 { return p.PVPower })
	set("reactive_power", func(p *Plant) float64 { return whole(p.ACPower / -200) })
	for n := range h.planes {
		set(fmt.Sprintf("mppt%d_voltage", n+1), func(p *Plant) float64 { return p.Strings[n].Volts })
		set(fmt.Sprintf("mppt%d_current", n+1), func(p *Plant) float64 { return p.Strings[n].Amps })
	}
	for n, phase := range strings.Split("abc", "") {
		set("phase_"+phase+"_voltage", func(p *Plant) float64 { return p.GridVolts[n] })
		set("phase_"+phase+"_current", func(p *Plant) float64 { return p.GridAmps[n] })
		set("phase_"+phase+"_current_string", func(p *Plant) float64 { return math.Abs(p.GridAmps[n]) })
		set("meter_phase_"+phase+"_active_power", func(p *Plant) float64 { return p.MeterPower[n] })
		set("meter_phase_"+phase+"_power_string", func(p *Plant) float64 { return p.MeterPower[n] })
	}
	for _, name := range []string{"grid_frequency", "grid_frequency_coarse", "grid_frequency_fine_string"} {
		set(name, func(p *Plant) float64 { return p.Frequency })
	}
	if b.model.Hybrid {
		b.hybrid(h, set, constant)
	} else {
		stringInverter(set, constant)
	}
	for name, value := range clock(h.zone) {
		set(name, value)
	}
	return values
}

// clock is the inverter's own, which shows local time.
func clock(zone *time.Location) map[string]func(*Plant) float64 {
	part := func(of func(time.Time) int) func(*Plant) float64 {
		return func(p *Plant) float64 { return float64(of(p.Time.In(zone))) }
	}
	return map[string]func(*Plant) float64{
		"clock_year":   part(time.Time.Year),
		"clock_month":  part(func(t time.Time) int { return int(t.Month()) }),
		"clock_day":    part(time.Time.Day),
		"clock_hour":   part(time.Time.Hour),
		"clock_minute": part(time.Time.Minute),
		"clock_second": part(time.Time.Second),
	}
}
