// Package vpstest is what tests of the server's packages share: samples of a unit and the tokens that send them, a log and
// pipes inside a bubble of synctest, readers of streams, and the routes as the source has them. Only tests import it.
package vpstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"sunspool/wire"
)

// It is a summer's day in Brussels (UTC+2), half past twelve there.
var Now = time.Date(2026, 6, 21, 10, 30, 0, 0, time.UTC)

// The tokens of every test. A canary must appear nowhere but in a request's own header.
const (
	Token1     = "canary-device-1-0123456789abcdef"
	Token1b    = "canary-device-1b-0123456789abcde"
	Token2     = "canary-device-2-0123456789abcdef"
	Viewer1    = "canary-viewer-1-0123456789abcdef"
	ViewerAll  = "canary-viewer-x-0123456789abcdef"
	TokenWrong = "canary-nobody-0123456789abcdefgh"
)

// Fields is a sample of the Python API as a JSON object that a test may spoil.
func Fields(ago time.Duration) map[string]any {
	return map[string]any{
		"device_id": "inv-1", "ts": Now.Add(-ago).Format(time.RFC3339Nano),
		"pv_power_w": 4210.5, "pv_daily_kwh": 12.3, "battery_power_w": 1480, "battery_soc_pct": 62.4,
		"battery_temp_c": 21.5, "load_power_w": 730, "export_power_w": 2000.5, "sample_count": 1,
	}
}

func With(f map[string]any, name string, v any) map[string]any {
	f = maps.Clone(f)
	f[name] = v
	return f
}

func Without(f map[string]any, name string) map[string]any {
	f = maps.Clone(f)
	delete(f, name)
	return f
}

func BodyOf(samples ...map[string]any) string {
	if samples == nil {
		samples = []map[string]any{}
	}
	b, err := json.Marshal(map[string]any{"samples": samples})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Sample is a stored form of fields.
func Sample(ago time.Duration) wire.Sample {
	return wire.Sample{DeviceID: "inv-1", Time: Now.Add(-ago), PVPowerW: 4210.5, PVDailyKWh: new(12.3),
		BatteryPowerW: new(1480.0), BatterySOCPct: new(62.4), BatteryTempC: new(21.5), LoadPowerW: new(730.0),
		ExportPowerW: new(2000.5), Count: 1}
}

func ManyValues(n int) string {
	values := map[string]int{}
	for i := range n {
		values[fmt.Sprint("v", i)] = i
	}
	text, _ := json.Marshal(values)
	return string(text)
}

// ContractBody is an ingest of n samples with the fields of the Python API until end, in the form that the Python edge sends.
func ContractBody(n int, end time.Time) []byte {
	var b strings.Builder
	b.WriteString(`{"samples": [`)
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		ts := end.Add(-time.Duration(n-i) * 5 * time.Second).UTC()
		fmt.Fprintf(&b, `{"device_id": "inv-1", "ts": "%s", "pv_power_w": %d.5, "pv_daily_kwh": 12.%d, "battery_power_w": -%d.0, "battery_soc_pct": 62.4, "battery_temp_c": 21.5, "load_power_w": 730.0, "export_power_w": 2000.25, "sample_count": 1}`,
			ts.Format("2006-01-02T15:04:05.000000+00:00"), 4000+i%97, i%10, i%2000)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// PythonBatch is 30 samples as a Python edge sends them, 5 s apart, two of which are from a clock that had not been set.
func PythonBatch(ago time.Duration) (body string, old, future string) {
	samples := make([]map[string]any, 30)
	for i := range samples {
		samples[i] = Fields(ago + time.Duration(len(samples)-i)*5*time.Second)
		samples[i]["ts"] = Now.Add(-ago - time.Duration(len(samples)-i)*5*time.Second).Format("2006-01-02T15:04:05.000000+00:00")
	}
	samples[3] = With(samples[3], "ts", "1970-01-01T00:00:12.250000+00:00")
	samples[17] = With(samples[17], "ts", "2090-03-01T12:00:00+00:00")
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	return strings.ReplaceAll(text(map[string]any{"samples": samples}), ",{", ", {"), text(samples[3]), text(samples[17])
}

// BatchOf is the body of an upload of samples.
func BatchOf(samples ...wire.Sample) string {
	body, err := json.Marshal(wire.Batch{Samples: samples})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// Zeros reads as zeros without end.
type Zeros struct{}

func (Zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
