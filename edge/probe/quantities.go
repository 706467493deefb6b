package probe

import (
	"fmt"
	"math"
	"strings"
	"time"

	"sunspool/edge/witness"
	"sunspool/internal/checklist"
)

// quantities says what would be stored, and which witness it was taken from.
func (p *Probe) quantities() {
	s, f := p.sample, p.findings
	solar := kilowatts(s.PVPowerW)
	if s.PVDailyKWh != nil {
		solar += fmt.Sprintf(", today %.1f kWh", *s.PVDailyKWh)
	}
	p.quantity("solar", "pv_power_w", &s.PVPowerW, solar)
	switch {
	case f.NoBattery:
		p.add("battery", checklist.OK, "", "none is connected")
	case s.BatteryPowerW == nil:
		p.missing("battery", "battery_power_w")
	default:
		text := kilowatts(math.Abs(*s.BatteryPowerW)) + " " + direction(*s.BatteryPowerW, "charging", "discharging")
		if s.BatterySOCPct != nil {
			text += fmt.Sprintf(", %.1f %%", *s.BatterySOCPct)
		}
		if s.BatteryTempC != nil {
			text += fmt.Sprintf(", %.1f °C", *s.BatteryTempC)
		}
		p.quantity("battery", "battery_power_w", s.BatteryPowerW, text)
	}
	switch {
	case f.MeterLost:
		p.add("grid", checklist.Warn, "check the cable and the power of the meter (DTSU, DDSU or S100)", "the inverter reports that its meter does not answer")
	case f.NoMeter:
		p.add("grid", checklist.Warn, "without a meter there is no load, import and export; samples of PV and battery are complete. If there is one, probe again with --repeat 5: a 0 alone does not show it", "no meter is seen")
	case f.Asleep:
		p.add("grid", checklist.Skip, "probe again by day", "the inverter sleeps: what it shows of the grid is old")
	case s.ExportPowerW == nil:
		p.missing("grid", "export_power_w")
	default:
		p.quantity("grid", "export_power_w", s.ExportPowerW, kilowatts(math.Abs(*s.ExportPowerW))+" "+direction(*s.ExportPowerW, "export", "import"))
	}
	if s.LoadPowerW != nil {
		p.quantity("home", "load_power_w", s.LoadPowerW, kilowatts(*s.LoadPowerW))
	}
}

// quantity adds a value and what its witnesses read.
func (p *Probe) quantity(area, field string, value *float64, text string) {
	p.add(area, checklist.OK, "", "%s%s", text, p.heard(field, value))
}

// missing adds a quantity that has no value, and why.
func (p *Probe) missing(area, field string) {
	why := p.findings.Unknown[field]
	p.add(area, checklist.Warn, "nothing is stored for it while it lasts; report it with the file of --save", "no value%s%s", orNothing(": ", why), p.heard(field, nil))
}

// heard lists the witnesses of a quantity: those that agree with value, and the others with what they read.
func (p *Probe) heard(field string, value *float64) string {
	var by, others []string
	for _, t := range p.testimonies() {
		switch {
		case t.Quantity != field || !t.Speaks:
		case t.Agrees && value != nil:
			by = append(by, t.By)
		default:
			others = append(others, fmt.Sprintf("%s reads %.0f W", t.By, t.Watts))
		}
	}
	text := orNothing("; by ", strings.Join(by, ", "))
	return text + orNothing("; not believed: ", strings.Join(others, ", "))
}

// balance is the check that finds a wrong sign.
func (p *Probe) balance() {
	s, b := p.sample, p.findings.Balance
	if s.LoadPowerW == nil || s.ExportPowerW == nil {
		p.add("balance", checklist.Skip, "", "it cannot be drawn up: a quantity is missing")
		return
	}
	var battery float64
	if s.BatteryPowerW != nil {
		battery = *s.BatteryPowerW
	}
	rest := s.PVPowerW - battery - *s.LoadPowerW - *s.ExportPowerW
	text := fmt.Sprintf("solar %s = home %s %s battery %s %s %s %s, rest %.0f W (what the conversion costs)", kilo(s.PVPowerW), kilo(*s.LoadPowerW),
		sign(battery), kilo(math.Abs(battery)), sign(*s.ExportPowerW), direction(*s.ExportPowerW, "export", "import"), kilo(math.Abs(*s.ExportPowerW)), rest)
	if !b.Adds() {
		p.add("balance", checklist.Warn, "probe again when sun and load are steady; if it lasts, report it with the file of --save", "%s", text)
		return
	}
	p.add("balance", checklist.OK, "", "%s", text)
}

// Believed returns the witnesses that agree with what would be stored, for --registers.
func (r *Report) Believed() (all []witness.Testimony) {
	for _, t := range r.Testimonies {
		if t.Agrees {
			all = append(all, t)
		}
	}
	return all
}

func orNothing(label, text string) string {
	if text == "" {
		return ""
	}
	return label + text
}

func direction(watts float64, plus, minus string) string {
	switch {
	case watts > 0:
		return plus
	case watts < 0:
		return minus
	}
	return "idle"
}

func sign(watts float64) string {
	if watts < 0 {
		return "-"
	}
	return "+"
}

func kilo(watts float64) string      { return fmt.Sprintf("%.2f", watts/1000) }
func kilowatts(watts float64) string { return kilo(watts) + " kW" }

func milliseconds(d time.Duration) string {
	if ms := float64(d.Microseconds()) / 1000; ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
