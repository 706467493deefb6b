package registers

import (
	"errors"
	"fmt"
	"math"
)

// Balance is what is left over where the registers of a hybrid must add up: it finds any wrong address, scale, word
// order or sign at once. It is nil where a register has no value.
type Balance struct {
	TotalPVkWh *float64 // PV - sold - into the battery - used at once, since installation: 0
	DailyPVkWh *float64 // the same of today: 0
	LoadW      *float64 // AC power - export - load: near 0, for the registers are not read at one instant
	LossW      *float64 // PV - charging - AC power: what the conversion costs, never below 0
}

// How much may be left over.
const (
	apartW      = 25.0  // between two registers of one poll
	lossW       = 350.0 // of a unit for a house
	lossPercent = 4.0   // of the power that a bigger one converts
)

// Check adds up the registers.
func Check(w Words) Balance {
	b := Balance{
		TotalPVkWh: without(w, "total_pv_generation",
			"total_export_from_pv", "total_battery_charge_from_pv", "total_direct_consumption"),
		DailyPVkWh: without(w, "daily_pv_generation",
			"daily_export_from_pv", "daily_battery_charge_from_pv", "daily_direct_consumption"),
		LoadW: without(w, "total_active_power", "export_power", "load_power"),
		LossW: without(w, "total_dc_power", "total_active_power"),
	}
	if b.LossW != nil {
		battery, _, err := BatteryPower(w)
		if err != nil {
			b.LossW = nil
		} else {
			*b.LossW -= battery
		}
	}
	return b
}

// Err says everything that does not add up in the words that b was made of.
func (b Balance) Err(w Words) error {
	var errs []error
	for _, split := range []struct {
		of       string
		residual *float64
	}{{"total", b.TotalPVkWh}, {"daily", b.DailyPVkWh}} {
		if split.residual != nil && *split.residual != 0 {
			errs = append(errs, fmt.Errorf("%s PV energy is %+.1f kWh more than its parts", split.of, *split.residual))
		}
	}
	if b.LoadW != nil && math.Abs(*b.LoadW) > apartW {
		errs = append(errs, fmt.Errorf("AC power is %+.0f W more than export and load", *b.LoadW))
	}
	if b.LossW != nil {
		pv, _ := decode("total_dc_power", w)
		ac, _ := decode("total_active_power", w)
		limit := max(lossW, lossPercent/100*max(pv, math.Abs(ac)))
		if *b.LossW < 0 || *b.LossW > limit {
			errs = append(errs, fmt.Errorf("the conversion loses %.0f W, not 0 to %.0f W", *b.LossW, limit))
		}
	}
	return errors.Join(errs...)
}

// without returns the register less its parts, to the 0.1 of the finest of them, or nil where one has no value. An
// implausible value counts: it is what Check is there to find.
func without(w Words, whole string, parts ...string) *float64 {
	var rest float64
	for i, name := range append([]string{whole}, parts...) {
		v, err := decode(name, w)
		if err != nil && !errors.Is(err, ErrImplausible) {
			return nil
		}
		if i > 0 {
			v = -v
		}
		rest += v
	}
	return new(math.Round(rest*10) / 10)
}
