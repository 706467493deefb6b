package edge

import (
	"fmt"
	"math"
	"strings"

	"sunspool/edge/witness"
	"sunspool/health"
	"sunspool/wire"
)

// unknownAfter is how many polls in a row must not add up until the owner is told: a poll reads its registers one after
// the other, and powers change meanwhile.
const unknownAfter = 3

// unknown returns why fields of a sample are empty, by the name of the field.
func unknown(s *wire.Sample, f Findings) map[string]string {
	why := make(map[string]string)
	for _, field := range wire.Fields {
		if field.Get(s) == nil {
			why[field.Name] = f.why(field.Name)
		}
	}
	return why
}

func (f Findings) why(field string) string {
	battery := strings.HasPrefix(field, "battery_") || strings.HasSuffix(field, "charge_total_kwh")
	switch {
	case battery && f.NoBattery:
		return "no battery answers"
	case grid(field) && f.Asleep:
		return "the inverter sleeps"
	case grid(field) && f.MeterLost:
		return "the inverter reports that its meter does not answer"
	case grid(field) && f.NoMeter:
		return "no meter answers"
	}
	for _, doubt := range f.Doubts {
		of, text, _ := strings.Cut(doubt, ": ")
		if of == field || of == "export_power_w" && field == "load_power_w" {
			return text
		}
	}
	return "no register of it is believed: they are not there, read 0, or may be those of yesterday"
}

// grid reports whether a meter measures the field.
func grid(field string) bool {
	switch field {
	case "load_power_w", "export_power_w", "import_total_kwh", "export_total_kwh":
		return true
	}
	return false
}

// adds reports whether the registers of a poll agree.
func (f Findings) adds() bool { return len(f.Doubts) == 0 && f.Balance.Adds() }

// residual is what the powers of a poll leave over, W; false if they are not all known.
func residual(b witness.Balance) (watts float64, ok bool) {
	if b.LossW == nil {
		return 0, false
	}
	return math.Round(*b.LossW), true
}

// contradicted is an inverter whose registers have not agreed for some polls.
func contradicted(e *Edge) *health.Fault {
	r := e.Report
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.off < unknownAfter {
		return nil
	}
	f := &health.Fault{
		Code: "registers_contradict", What: "registers of the inverter contradict each other", Why: strings.Join(r.facts.Doubts, "; "),
		Next: "compare with the inverter's display; please report it with the model and a poll of RAW_DEBUG_ENABLED=true",
	}
	if watts, ok := residual(r.facts.Balance); ok && f.Why == "" {
		f.Why = fmt.Sprintf("PV less battery and AC power leaves %.0f W, which no conversion loses", watts)
	}
	return f
}

// meterless is an inverter that has lost its meter.
func meterless(e *Edge) *health.Fault {
	r := e.Report
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.facts.MeterLost {
		return nil
	}
	return &health.Fault{
		Code: "meter_lost", What: "the inverter reports that its grid meter does not answer", Why: "load and grid power are not known",
		Next: "check the meter and its cable; a meter that was moved to an iHomeManager is read there",
	}
}

func (r *Report) contradicting() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(r.off)
}

func (r *Report) residual() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	watts, _ := residual(r.facts.Balance)
	return int64(watts)
}
