package web

import (
	"math"
	"strconv"
	"strings"
)

const (
	nbsp    = "\u00a0"
	unknown = "–"
)

// format writes numbers as the readers of a language do.
type format struct{ comma string }

func formatOf(lang string) format {
	if lang == "en" {
		return format{"."}
	}
	return format{","}
}

func (f format) number(v float64, digits int) string {
	return strings.Replace(strconv.FormatFloat(v, 'f', digits, 64), ".", f.comma, 1)
}

// power returns how powers of one picture are written: all in kW if one of them is at least 1 kW. Their directions are words,
// not signs.
func (f format) power(all ...*float64) func(*float64) string {
	kilo := false
	for _, w := range all {
		kilo = kilo || w != nil && math.Abs(*w) >= 1000
	}
	return func(w *float64) string {
		if w == nil {
			return unknown
		}
		v := math.Abs(*w)
		switch {
		case v < deadBand:
			v = 0
		case kilo && v >= 9995:
			return f.number(v/1000, 1) + nbsp + "kW"
		}
		if kilo {
			return f.number(v/1000, 2) + nbsp + "kW"
		}
		return f.number(v, 0) + nbsp + "W"
	}
}

func (f format) energy(kwh *float64) string {
	if kwh == nil {
		return unknown
	}
	switch v := *kwh; {
	case v < 9.995:
		return f.number(v, 2) + nbsp + "kWh"
	case v < 999.95:
		return f.number(v, 1) + nbsp + "kWh"
	case v < 9999.5:
		return f.number(v, 0) + nbsp + "kWh"
	default:
		return f.number(v/1000, 2) + nbsp + "MWh"
	}
}

// percent never rounds a little to nothing, nor almost all to all.
func (f format) percent(v *float64) string {
	switch {
	case v == nil:
		return unknown
	case *v > 0 && *v < 0.5:
		return "<" + nbsp + "1" + nbsp + "%"
	case *v < 99.95:
		return f.number(math.Min(math.Round(*v), 99), 0) + nbsp + "%"
	}
	return f.number(math.Round(*v), 0) + nbsp + "%"
}

// money has two digits and no currency: that is in the head of its column.
func (f format) money(v *float64) string {
	if v == nil {
		return unknown
	}
	digits := f.number(math.Abs(*v), 2)
	if *v < 0 && strings.Trim(digits, "0.,") != "" {
		return "−" + digits
	}
	return digits
}
