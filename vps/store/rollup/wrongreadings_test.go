package rollup

import (
	"math"
	"slices"
	"testing"
	"time"

	"sunspool/wire"
)

// TestWrongReadingsAreNoEnergy of a counter that stands at night, in the hours and in the day, read at the same times.
func TestWrongReadingsAreNoEnergy(t *testing.T) {
	const slow, quick = 15 * time.Minute, 5 * time.Minute
	stands := func(n int, kwh float64) []float64 { return slices.Repeat([]float64{kwh}, n) }
	for name, c := range map[string]struct {
		step     time.Duration
		readings [][]float64
	}{
		"a spike of 0.5":                    {slow, [][]float64{stands(30, 100), {100.5}, stands(30, 100)}},
		"a spike of 1.1":                    {slow, [][]float64{stands(30, 100), {101.1}, stands(30, 100)}},
		"a spike of 3":                      {quick, [][]float64{stands(60, 100), {103}, stands(60, 100)}},
		"a spike of 400":                    {slow, [][]float64{stands(30, 100), {500}, stands(30, 100)}},
		"a dip of 0.2 for eight readings":   {slow, [][]float64{stands(30, 1.1), stands(8, 0.9), stands(30, 1.1)}},
		"a dip of 0.3 for three readings":   {slow, [][]float64{stands(30, 1.1), stands(3, 0.8), stands(30, 1.1)}},
		"a dip of 0.3 for one reading":      {slow, [][]float64{stands(30, 1.1), {0.8}, stands(30, 1.1)}},
		"a dip of 4 for eight readings":     {slow, [][]float64{stands(30, 7.1), stands(8, 3.1), stands(30, 7.1)}},
		"a dip of 1 for eight readings":     {quick, [][]float64{stands(60, 11.1), stands(8, 10.1), stands(60, 11.1)}},
		"an hour of 0":                      {slow, [][]float64{stands(30, 100), stands(4, 0), stands(30, 100)}},
		"another counter that is lower":     {slow, [][]float64{stands(30, 100), stands(40, 60)}},
		"another counter that is higher":    {slow, [][]float64{stands(30, 100), stands(40, 166)}},
		"a dip beside the digit, trembling": {slow, [][]float64{stands(30, 100), {99.9, 100.1, 99.9, 100, 99.9, 100.1}, stands(30, 100.1)}},
	} {
		for _, phase := range []time.Duration{0, 4 * time.Minute, 11 * time.Minute} {
			readings := slices.Concat(c.readings...)
			start := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC).Add(phase)
			load, battery, export := 500.0, 0.0, -500.0
			var samples []wire.Sample
			for i := range readings {
				samples = append(samples, wire.Sample{Time: start.Add(time.Duration(i) * c.step), LoadPowerW: &load, BatteryPowerW: &battery, ExportPowerW: &export,
					PVTotalKWh: &readings[i], Count: 1, Values: map[string]float64{"nominal_power": 6}})
			}
			var m memory
			m.hold(samples)
			for _, resolution := range []string{"hour", "day"} {
				sum := 0.0
				for _, kwh := range m.asking(time.UTC)(resolution, start, samples[len(samples)-1].Time).Columns["pv_kwh"] {
					sum += kwh
				}
				if !(math.Abs(sum) < 0.11) { // a last digit may be energy
					t.Errorf("%s, each %v from %v on: the %ss are %.2f kWh", name, c.step, phase, resolution, sum)
				}
			}
		}
	}
}
