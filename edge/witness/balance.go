package witness

import (
	"errors"
	"fmt"
	"math"

	"sunspool/edge/registers"
)

// Balance is what is left over where the powers of a poll must add up. It is nil where one of them is not known.
type Balance struct {
	LoadW *float64 // AC power - export - load: near 0
	LossW *float64 // PV - charging - AC power: what the conversion costs, never below 0

	limitW, apartW float64
}

// Adds reports whether the powers add up.
func (b Balance) Adds() bool {
	return b.LossW == nil || *b.LossW >= -b.apartW && *b.LossW <= b.limitW+b.apartW
}

// balance adds up what was decided. Load and export were compared with the AC power when they were.
func (p *poll) balance() Balance {
	var b Balance
	if p.ac.speaks && p.out.LoadPowerW != nil && p.out.ExportPowerW != nil {
		b.LoadW = new(p.ac.watts - *p.out.ExportPowerW - *p.out.LoadPowerW)
	}
	if p.ac.speaks && p.pv.speaks && (p.battery.speaks || p.out.NoBattery || !p.Hybrid) {
		b.LossW = new(p.pv.watts - p.battery.watts - p.ac.watts)
		b.limitW = loss(p.pv.watts, p.ac.watts, p.battery.watts)
		b.apartW = apart(p.pv.watts, p.ac.watts, p.battery.watts)
	}
	return b
}

// dropUnsupported leaves out what only one block shows while the powers of a hybrid, which added up so far, do not: that
// block may be of another time, or of another unit. Where they never add up, something takes power that no register
// counts.
func (p *poll) dropUnsupported() {
	p.out.differs = p.Hybrid && (p.blocksDiffer || !p.out.Balance.Adds())
	if !p.out.differs || p.past.unbalanced(p.At) {
		return
	}
	if p.out.BatteryPowerW != nil && !p.batteryTwice {
		p.doubt("battery_power_w", "the powers of the inverter do not add up")
		p.out.BatteryPowerW = nil
		p.withhold("battery_power_signed", "battery_power_legacy", "battery_current_legacy", "battery_current_signed")
	}
	if p.out.ExportPowerW != nil && !p.gridTwice {
		p.doubt("export_power_w", "the powers of the inverter do not add up")
		p.out.ExportPowerW, p.out.LoadPowerW = nil, nil
		p.hideGrid()
	}
}

// Sums is what is left over where the registers of a hybrid must add up, as they are: it finds any wrong address, scale,
// word order or sign of a map at once. It is nil where a register has no value. A single unit has no rest; in a cluster
// the parts of the PV energy may be more than its total.
type Sums struct {
	TotalPVkWh *float64 // PV - sold - into the battery - used at once, since installation
	DailyPVkWh *float64 // the same of today
	LoadW      *float64 // AC power - export - load
	LossW      *float64 // PV - charging - AC power

	most float64 // that may be lost
}

// Check adds up the registers of a hybrid.
func Check(w registers.Words) Sums {
	s := Sums{
		TotalPVkWh: without(w, "total_pv_generation",
			"total_export_from_pv", "total_battery_charge_from_pv", "total_direct_consumption"),
		DailyPVkWh: without(w, "daily_pv_generation",
			"daily_export_from_pv", "daily_battery_charge_from_pv", "daily_direct_consumption"),
		LoadW: without(w, "total_active_power", "export_power", "load_power"),
		LossW: without(w, "total_dc_power", "total_active_power"),
	}
	if s.LossW != nil {
		p := &poll{Poll: Poll{Words: w, Map: registers.Hybrid(), Hybrid: true}, family: hybrid, withheld: make(map[string]bool)}
		p.readPV()
		p.readAC()
		battery := p.register("battery_power_signed", -1, maxBatteryLoad)
		if !battery.alive() {
			battery = p.directed(p.legacyPower())
		}
		if !battery.speaks {
			s.LossW = nil
			return s
		}
		*s.LossW -= battery.watts
		s.most = loss(p.dc.watts, p.ac.watts)
	}
	return s
}

// Err says everything that does not add up.
func (s Sums) Err() error {
	var errs []error
	for _, split := range []struct {
		of       string
		residual *float64
	}{{"total", s.TotalPVkWh}, {"daily", s.DailyPVkWh}} {
		if split.residual != nil && *split.residual != 0 {
			errs = append(errs, fmt.Errorf("%s PV energy is %+.1f kWh more than its parts", split.of, *split.residual))
		}
	}
	if s.LoadW != nil && math.Abs(*s.LoadW) > apartW {
		errs = append(errs, fmt.Errorf("AC power is %+.0f W more than export and load", *s.LoadW))
	}
	if s.LossW != nil && (*s.LossW < 0 || *s.LossW > s.most) {
		errs = append(errs, fmt.Errorf("the conversion loses %.0f W, not 0 to %.0f W", *s.LossW, s.most))
	}
	return errors.Join(errs...)
}

// without returns the register less its parts, to the 0.1 of the finest of them, or nil where one has no value. An
// implausible value counts: it is what Check is there to find.
func without(w registers.Words, whole string, parts ...string) *float64 {
	var rest float64
	for i, name := range append([]string{whole}, parts...) {
		reg, ok := registers.Hybrid().Lookup(name)
		if !ok {
			panic("no register " + name) // a name in this package: no test passes without it
		}
		v, err := reg.Decode(w)
		if err != nil && !errors.Is(err, registers.ErrImplausible) {
			return nil
		}
		if i > 0 {
			v = -v
		}
		rest += v
	}
	return new(math.Round(rest*10) / 10)
}
