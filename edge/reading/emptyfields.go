package reading

import (
	"math"
	"strings"

	"sunspool/edge/witness"
	"sunspool/wire"
)

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

// Adds reports whether the registers of a poll agree.
func (f Findings) Adds() bool { return len(f.Doubts) == 0 && f.Balance.Adds() }

// Residual is what the powers of a poll leave over, W; false if they are not all known.
func Residual(b witness.Balance) (watts float64, ok bool) {
	if b.LossW == nil {
		return 0, false
	}
	return math.Round(*b.LossW), true
}
