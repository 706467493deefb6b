package witness

// The table of witnesses: which registers speak of a quantity, best first, and with which sign. What is derived from
// other quantities, and when, is said where the quantity is decided:
//
//	            hybrid                                       string inverter
//	PV          total_dc_power; sum of tracker V x I;        the same; AC power
//	            AC power + charging
//	AC          total_active_power; export + load            total_active_power_string; export + load
//	battery     battery_power_signed;                        -
//	            battery_power_legacy with a direction;
//	            battery_voltage x current with a direction
//	export      export_power; -meter_active_power;           -meter_power_string; -meter_active_power;
//	            AC - load, which is of the same block
//	load        load_power; AC - export                      load_power_string; AC - export
type family struct {
	ac, load string
	grid     []signed // of the export
	metered  []string // registers that mean something only with a meter
	battery  []string // and with a battery
}

// signed is a register and the sign that its value gets.
type signed struct {
	name string
	sign float64
}

var hybrid = family{
	ac:   "total_active_power",
	load: "load_power",
	grid: []signed{{"export_power", +1}, {"meter_active_power", -1}},
	metered: []string{
		"load_power", "export_power", "meter_active_power",
		"meter_phase_a_active_power", "meter_phase_b_active_power", "meter_phase_c_active_power",
		"daily_import_energy", "total_import_energy", "daily_export_energy", "total_export_energy",
	},
	battery: []string{
		"battery_power_signed", "battery_power_legacy", "battery_voltage", "battery_current_legacy", "battery_current_signed",
		"battery_soc", "battery_soh", "battery_temperature",
		"daily_battery_charge", "total_battery_charge", "daily_battery_discharge", "total_battery_discharge",
		"daily_battery_charge_from_pv", "total_battery_charge_from_pv",
	},
}

var stringInverter = family{
	ac:   "total_active_power_string",
	load: "load_power_string",
	grid: []signed{{"meter_power_string", -1}, {"meter_active_power", -1}},
	metered: []string{
		"load_power_string", "meter_power_string", "meter_active_power",
		"meter_phase_a_power_string", "meter_phase_b_power_string", "meter_phase_c_power_string",
		"daily_import_energy_string", "total_import_energy_string", "daily_export_energy_string", "total_export_energy_string",
	},
}
