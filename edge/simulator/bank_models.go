package simulator

import "math"

// Operating states.
const (
	stateRunning  = 0x0040
	stateStandby  = 0x0008
	stateDerating = 0x8100
	stringRuns    = 0x0000
	stringStandby = 0x1400
)

// hybrid says what the registers of a unit with battery inputs show.
func (b *bank) hybrid(h *Home, set func(string, func(*Plant) float64), constant func(string, float64)) {
	magnitude := b.model.Family == "SH-RS" // its old power register has no sign
	battery := h.site.battery
	if battery.capacity > 0 {
		const amps = 30 // the least that its modules and its cable agree on
		set("bms_max_charge_current", func(p *Plant) float64 {
			return math.Round(amps * battery.charge(p.BatterySOC, p.BatteryTemp) / battery.power)
		})
		set("bms_max_discharge_current", func(p *Plant) float64 {
			return math.Round(amps * battery.discharge(p.BatterySOC) / battery.power)
		})
		constant("battery_soh", 98)
	}
	constant("battery_capacity", battery.capacity)
	constant("battery_capacity_fine", battery.capacity)
	constant("bdc_rated_power", 10.6)
	constant("feed_in_limit_max", h.site.rated/1000)
	constant("drm_state", 255)

	set("running_state", func(p *Plant) float64 {
		switch {
		case p.Curtailed:
			return stateDerating
		case p.PVPower == 0 && !p.HasBattery:
			return stateStandby
		}
		return stateRunning
	})
	set("power_flow_status", func(p *Plant) float64 { return float64(flowBits(p)) })
	set("battery_power_signed", func(p *Plant) float64 { return -p.BatteryPower })
	set("battery_power_legacy", func(p *Plant) float64 {
		if magnitude {
			return math.Abs(p.BatteryPower)
		}
		return -p.BatteryPower
	})
	set("battery_current_signed", func(p *Plant) float64 { return -p.BatteryAmps })
	set("battery_current_legacy", func(p *Plant) float64 { return -p.BatteryAmps })
	set("battery_voltage", func(p *Plant) float64 { return p.BatteryVolts })
	set("battery_soc", func(p *Plant) float64 { return p.BatterySOC })
	set("battery_temperature", func(p *Plant) float64 { return p.BatteryTemp })

	set("meter_active_power", func(p *Plant) float64 { return -p.ExportPower })
	set("export_power", func(p *Plant) float64 { return p.ExportPower })
	set("load_power", func(p *Plant) float64 { return p.LoadPower })
	set("total_active_power", func(p *Plant) float64 { return p.ACPower })

	set("daily_output_energy", func(p *Plant) float64 { return p.Today.Output })
	set("total_output_energy_hybrid", func(p *Plant) float64 { return p.Total.Output })
	for name, of := range map[string]func(*Energy) float64{
		"pv_generation":          func(e *Energy) float64 { return e.PV },
		"export_from_pv":         func(e *Energy) float64 { return e.ExportFromPV },
		"battery_charge_from_pv": func(e *Energy) float64 { return e.ChargeFromPV },
		"direct_consumption":     func(e *Energy) float64 { return e.Direct },
		"battery_charge":         func(e *Energy) float64 { return e.Charge },
		"battery_discharge":      func(e *Energy) float64 { return e.Discharge },
		"import_energy":          func(e *Energy) float64 { return e.Import },
		"export_energy":          func(e *Energy) float64 { return e.Export },
	} {
		set("daily_"+name, func(p *Plant) float64 { return of(&p.Today) })
		set("total_"+name, func(p *Plant) float64 { return of(&p.Total) })
	}
	set("self_consumption_today", func(p *Plant) float64 {
		if p.Today.PV == 0 {
			return 100
		}
		return tenth(100 * (1 - p.Today.ExportFromPV/p.Today.PV))
	})

	constant("start_stop", 0xCF)
	constant("load_control_mode", 3)
	constant("charge_discharge_command", 0xCC)
	constant("max_soc", maxSOC)
	constant("min_soc", minSOC)
	constant("feed_in_limit_value", h.site.rated)
	constant("off_grid_option", 0x55)
	constant("meter_comm_detection", 0xAA)
	constant("feed_in_limitation", 0x55)
	constant("feed_in_limit_ratio", 100)
	constant("active_power_limitation", 0x55)
	constant("active_power_limit_ratio", 100)
	constant("max_charge_power", battery.power/1000)
	constant("max_discharge_power", battery.power/1000)
}

// flowBits is power_flow_status. The grid's direction shows above a threshold only.
func flowBits(p *Plant) (bits uint16) {
	const threshold = 15 // W
	for i, on := range []bool{
		p.PVPower > 0,
		p.BatteryPower > 0,
		p.BatteryPower < 0,
		p.LoadPower > 0,
		p.ExportPower > threshold,
		p.ExportPower < -threshold,
		false,
		p.LoadPower < 0,
	} {
		if on {
			bits |= 1 << i
		}
	}
	return bits
}

// stringInverter says what the registers of a unit without battery inputs show. It counts on its AC side, and its meter
// is optional: without it the meter's registers read 0.
func stringInverter(set func(string, func(*Plant) float64), constant func(string, float64)) {
	runs := func(p *Plant) bool { return p.PVPower > 0 }
	set("work_state_1", func(p *Plant) float64 {
		if runs(p) {
			return stringRuns
		}
		return stringStandby
	})
	set("work_state_2", func(p *Plant) float64 {
		if runs(p) {
			return 1<<17 | 1<<0
		}
		return 1 << 4
	})
	set("total_active_power_string", func(p *Plant) float64 { return p.ACPower })
	set("apparent_power", func(p *Plant) float64 { return math.Abs(p.ACPower) })
	set("daily_yield_string", func(p *Plant) float64 { return p.Today.Output })
	set("total_yield_string", func(p *Plant) float64 { return math.Floor(p.Total.Output) })
	set("total_yield_string_fine", func(p *Plant) float64 { return p.Total.Output })
	set("bus_voltage", func(p *Plant) float64 { return max(p.Strings[0].Volts, p.Strings[1].Volts) })
	constant("country_code", 11)

	measured := func(v func(*Plant) float64) func(*Plant) float64 {
		return func(p *Plant) float64 {
			if !p.HasMeter {
				return 0
			}
			return v(p)
		}
	}
	set("meter_power_string", func(p *Plant) float64 { return -p.ExportPower })
	set("load_power_string", measured(func(p *Plant) float64 { return p.LoadPower }))
	set("daily_export_energy_string", func(p *Plant) float64 { return p.Today.Export })
	set("total_export_energy_string", func(p *Plant) float64 { return p.Total.Export })
	set("daily_import_energy_string", func(p *Plant) float64 { return p.Today.Import })
	set("total_import_energy_string", func(p *Plant) float64 { return p.Total.Import })
	set("daily_direct_consumption_string", measured(func(p *Plant) float64 { return p.Today.Direct }))
	set("total_direct_consumption_string", measured(func(p *Plant) float64 { return p.Total.Direct }))
}
