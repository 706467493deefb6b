package rollup

import (
	"fmt"
	"math"
	"testing"
	"time"
	_ "time/tzdata"

	"sunspool/wire"
)

// TestSteadyPowerIsThatPowerTimesTheTime however it is polled, told or not, jittered or as means, with no counter.
func TestSteadyPowerIsThatPowerTimesTheTime(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 3, 10, 0, 0, 0, 0, zone)
	for _, interval := range []time.Duration{5, 10, 30, 60, 150, 300, 301, 420, 600, 777, 900} {
		interval *= time.Second
		for _, how := range []string{"told", "not told", "jittered", "means", "sent twice"} {
			t.Run(fmt.Sprint(interval, " ", how), func(t *testing.T) {
				from, to := day.Add(-26*time.Hour), day.Add(50*time.Hour)
				if interval < time.Minute {
					from, to = day.Add(-2*time.Hour), day.Add(26*time.Hour)
				}
				var m memory
				m.hold(constantly(from, to, interval, how))
				ask := m.asking(zone)
				for resolution, hours := range map[string]float64{"day": 24, "hour": 1} {
					a := ask(resolution, day, day.Add(24*time.Hour))
					for i := range a.From {
						for name, watts := range map[string]float64{"pv_kwh": 3000, "load_kwh": 1000, "export_kwh": 1500, "charge_kwh": 500, "solar_home_kwh": 1000, "solar_battery_kwh": 500, "solar_grid_kwh": 1500, "import_kwh": 0} {
							if want := watts * hours / 1000; !(math.Abs(a.Columns[name][i]-want) <= 0.001*want) {
								t.Errorf("%s %d: %s is %.4f, right %.4f", resolution, i, name, a.Columns[name][i], want)
							}
						}
						if c := a.Columns["coverage"][i]; !(c > 0.999 && c <= 1) {
							t.Errorf("%s %d: covered to %.4f", resolution, i, c)
						}
					}
				}
			})
		}
	}
}

func constantly(from, to time.Time, interval time.Duration, how string) (samples []wire.Sample) {
	load, battery, export := 1000.0, 500.0, 1500.0
	for i := 0; ; i++ {
		s := wire.Sample{Time: from.Add(time.Duration(i) * interval), PVPowerW: 3000, LoadPowerW: &load, BatteryPowerW: &battery, ExportPowerW: &export, Count: 1}
		if !s.Time.Before(to) {
			return samples
		}
		switch how {
		case "told":
			s.Interval = interval
		case "jittered":
			s.Time = s.Time.Add(interval * time.Duration(i*i%5) / 20).Truncate(time.Millisecond)
		case "means":
			s.Count = int(interval / (5 * time.Second))
		}
		samples = append(samples, s)
		if how == "sent twice" {
			s.Time = s.Time.Add(300 * time.Millisecond)
			samples = append(samples, s)
		}
	}
}
