package wire

// Field is one named number of a sample: its JSON name and how to reach it. The order of Fields is part of the binary
// form (see pack.go): append, never reorder.
type Field struct {
	Name     string
	Nullable bool // null is an answer; otherwise the field is a number in every sample
	Required bool // the key must be present in JSON
	ref      func(*Sample) **float64
}

// Fields are the numbers of a sample in the order of the Python API (docs/compatibility.md), the lifetime counters after them.
var Fields = []Field{
	{"pv_power_w", false, true, nil},
	{"pv_daily_kwh", true, false, func(s *Sample) **float64 { return &s.PVDailyKWh }},
	{"battery_power_w", true, true, func(s *Sample) **float64 { return &s.BatteryPowerW }},
	{"battery_soc_pct", true, true, func(s *Sample) **float64 { return &s.BatterySOCPct }},
	{"battery_temp_c", true, false, func(s *Sample) **float64 { return &s.BatteryTempC }},
	{"load_power_w", true, true, func(s *Sample) **float64 { return &s.LoadPowerW }},
	{"export_power_w", true, true, func(s *Sample) **float64 { return &s.ExportPowerW }},
	{"pv_total_kwh", true, false, func(s *Sample) **float64 { return &s.PVTotalKWh }},
	{"import_total_kwh", true, false, func(s *Sample) **float64 { return &s.ImportTotalKWh }},
	{"export_total_kwh", true, false, func(s *Sample) **float64 { return &s.ExportTotalKWh }},
	{"charge_total_kwh", true, false, func(s *Sample) **float64 { return &s.ChargeTotalKWh }},
	{"discharge_total_kwh", true, false, func(s *Sample) **float64 { return &s.DischargeTotalKWh }},
	{"direct_total_kwh", true, false, func(s *Sample) **float64 { return &s.DirectTotalKWh }},
}

// firstCounter is the index in Fields of the first lifetime counter. In JSON those are left out when they are absent, and the
// sample count stands before them.
const firstCounter = 7

// Get returns the field's value in s, nil where it is absent.
func (f Field) Get(s *Sample) *float64 {
	if f.ref == nil {
		return &s.PVPowerW
	}
	return *f.ref(s)
}

// Set stores v as the field's value in s; v is nil only for a nullable field.
func (f Field) Set(s *Sample, v *float64) {
	if f.ref == nil {
		s.PVPowerW = *v
		return
	}
	*f.ref(s) = v
}
