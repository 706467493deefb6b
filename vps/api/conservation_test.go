package api

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/wire"
)

// flowColumns are the seven ways of energy: from and to.
var flowColumns = []struct{ name, from, to string }{
	{"solar_home_kwh", "pv_kwh", "load_kwh"}, {"solar_battery_kwh", "pv_kwh", "charge_kwh"}, {"solar_grid_kwh", "pv_kwh", "export_kwh"},
	{"battery_home_kwh", "discharge_kwh", "load_kwh"}, {"battery_grid_kwh", "discharge_kwh", "export_kwh"},
	{"grid_home_kwh", "import_kwh", "load_kwh"}, {"grid_battery_kwh", "import_kwh", "charge_kwh"},
}

// wanderer makes the samples of a house whose powers are random, all known, with gaps.
type wanderer struct {
	r    *rand.Rand
	zone *time.Location
	lost float64 // what its meters do not explain: 1 for losses, -1 for what comes from nowhere, 0 if all adds up
}

// day returns the samples of a local day, some 20 s to 5 min apart. What is missed is a few minutes or half of the day.
func (w *wanderer) day(date time.Time) (samples []wire.Sample) {
	from, to := date, date.AddDate(0, 0, 1)
	step := time.Duration(20+w.r.IntN(280)) * time.Second
	most := 500 + w.r.Float64()*9000
	gap := from.Add(time.Duration(w.r.Int64N(int64(to.Sub(from)))))
	back := gap.Add(time.Duration(math.Pow(w.r.Float64(), 4) * float64(12*time.Hour)))
	for at := from.Add(time.Duration(w.r.Int64N(int64(step)))); at.Before(to); at = at.Add(step) {
		if at.After(gap) && at.Before(back) {
			continue
		}
		pv, load, battery := w.r.Float64()*most, w.r.Float64()*most, (w.r.Float64()*2-1)*most/2
		export := pv - load - battery - w.lost*w.r.Float64()*most
		s := wire.Sample{Time: at.Truncate(time.Millisecond), PVPowerW: pv, LoadPowerW: &load, BatteryPowerW: &battery, ExportPowerW: &export,
			BatterySOCPct: new(50.0), Count: max(1, int(step/(5*time.Second)))}
		samples = append(samples, s)
	}
	return trimmed(samples)
}

// trimmed leaves out what is near the border of two hours, in any zone, and has nothing on its other side: of an hour without a
// sample half a minute must be covered, or nothing is known of it, and its part of the day is in no hour.
func trimmed(samples []wire.Sample) []wire.Sample {
	for i := 0; i < len(samples); {
		apart := func(j, k int) bool {
			return j < 0 || k == len(samples) || samples[k].Time.Sub(samples[j].Time) > 5*time.Minute
		}
		if nearBorder(samples[i].Time) && (apart(i-1, i) || apart(i, i+1)) {
			samples = slices.Delete(samples, i, i+1)
			i = max(i-1, 0)
		} else {
			i++
		}
	}
	return samples
}

func nearBorder(at time.Time) bool {
	into := at.Sub(at.Truncate(30 * time.Minute))
	return min(into, 30*time.Minute-into) < 200*time.Second
}

// TestEnergyIsConserved in every answer about a year: of random powers, over gaps, with samples that arrive in any order and
// after the answers were asked for before, and whatever the clocks of the zone do. Each flow is at least 0 and no more than its
// ends, and all together are what comes and goes; that differs by unaccounted; hours are their day, days their month, months their year, years the whole.
func TestEnergyIsConserved(t *testing.T) {
	for i, zone := range []string{"Europe/Brussels", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago", "Pacific/Apia"} {
		t.Run(fmt.Sprintf("%s seed %d", strings.ReplaceAll(zone, "/", " "), i), func(t *testing.T) {
			t.Parallel()
			b := zoned(t, zone, time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC))
			w := &wanderer{r: rand.New(rand.NewPCG(uint64(i), 15)), zone: b.Zone, lost: float64(i%3 - 1)}
			late := w.fill(b, time.Date(2025, 11, 20, 0, 0, 0, 0, w.zone), time.Date(2027, 1, 20, 0, 0, 0, 0, w.zone))
			w.conserved(t, b, "before the late samples")
			for _, samples := range late {
				b.put("inv-1", samples)
			}
			w.conserved(t, b, "with the late samples")
		})
	}
}

// fill stores days of [from, to) in any order: one of nine, and those around changes of clocks. It returns what is to come late.
func (w *wanderer) fill(b *bench, from, to time.Time) (late [][]wire.Sample) {
	var days [][]wire.Sample
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		changes := day.AddDate(0, 0, 1).Sub(day) != 24*time.Hour
		if changes || w.r.IntN(9) == 0 {
			days = append(days, w.day(day))
		}
		if changes {
			days = append(days, w.day(day.AddDate(0, 0, 1)), w.day(day.AddDate(0, 0, -1)))
		}
	}
	w.r.Shuffle(len(days), func(i, j int) { days[i], days[j] = days[j], days[i] })
	for i, samples := range days {
		if i%4 == 3 { // half of them in time, the other half afterwards
			at := w.r.IntN(len(samples))
			late, samples = append(late, samples[at:]), trimmed(slices.Clone(samples[:at]))
		}
		b.put("inv-1", samples)
	}
	return late
}

func (w *wanderer) conserved(t *testing.T, b *bench, when string) {
	t.Helper()
	const from, to = "2025-11-01", "2027-01-31"
	ask := func(resolution, from, to string) energyTest {
		a := answered[energyTest](b, fmt.Sprintf("/v1/energy?device_id=inv-1&resolution=%s&from=%s&to=%s", resolution, from, to))
		for i, label := range append(a.Labels, "") {
			row := a.Totals
			if i < len(a.Labels) {
				row = map[string]history.Number{}
				for name, column := range a.Columns {
					row[name] = column[i]
				}
			}
			conservedRow(t, fmt.Sprintf("%s: %s %s", when, resolution, label), row)
		}
		same(t, when+": rows and totals of "+resolution+"s", []energyTest{a}, a.Totals)
		return a
	}
	days, months, years := ask("day", from, to), ask("month", from, to), ask("year", from, to)
	known := 0
	for i, day := range days.Labels {
		if math.IsNaN(float64(days.Columns["pv_kwh"][i])) {
			continue
		}
		known++
		same(t, when+": hours of "+day, []energyTest{ask("hour", day, day)}, rowOf(days, i))
	}
	if known < 40 {
		t.Fatalf("only %d days have samples", known)
	}
	for i, month := range months.Labels {
		same(t, when+": days of "+month, []energyTest{within(days, month)}, rowOf(months, i))
	}
	for i, year := range years.Labels {
		same(t, when+": months of "+year, []energyTest{within(months, year)}, rowOf(years, i))
	}
	same(t, when+": years", []energyTest{years}, days.Totals)
}

// conservedRow holds the flows of a row against its ends. Answers have three digits.
func conservedRow(t *testing.T, where string, row map[string]history.Number) {
	t.Helper()
	const eps = 0.006
	kwh := func(name string) float64 { return float64(row[name]) }
	if math.IsNaN(kwh("pv_kwh")) {
		for _, f := range flowColumns {
			if !math.IsNaN(kwh(f.name)) {
				t.Errorf("%s: nothing is known of the sun, %s is %v", where, f.name, kwh(f.name))
			}
		}
		return
	}
	left, all := map[string]float64{}, 0.0
	for _, end := range []string{"pv_kwh", "discharge_kwh", "import_kwh", "load_kwh", "charge_kwh", "export_kwh"} {
		left[end] = kwh(end)
	}
	for _, f := range flowColumns {
		v := kwh(f.name)
		if !(v >= 0) {
			t.Errorf("%s: %s is %v", where, f.name, v)
		}
		left[f.from], left[f.to], all = left[f.from]-v, left[f.to]-v, all+v
	}
	for end, rest := range left {
		if !(rest > -eps) {
			t.Errorf("%s: the flows of %s are %v more than it", where, end, -rest)
		}
	}
	comes, goes := kwh("pv_kwh")+kwh("discharge_kwh")+kwh("import_kwh"), kwh("load_kwh")+kwh("charge_kwh")+kwh("export_kwh")
	if rest := comes - goes - kwh("unaccounted_kwh"); math.Abs(rest) > eps {
		t.Errorf("%s: %v kWh come, %v go, %v are unaccounted for: %v are lost", where, comes, goes, kwh("unaccounted_kwh"), rest)
	}
	if math.Abs(all-min(comes, goes)) > eps { // one of both sides is explained whole, because the other always has more
		t.Errorf("%s: the flows are %v, %v come, %v go", where, all, comes, goes)
	}
}

// same compares the sums of rows with the whole, as exactly as three digits of each are.
func same(t *testing.T, where string, answers []energyTest, whole map[string]history.Number) {
	t.Helper()
	for _, name := range history.EnergyColumns {
		sum, n := 0.0, 0
		for _, a := range answers {
			for _, v := range a.Columns[name] {
				if v == v {
					sum, n = sum+float64(v), n+1
				}
			}
		}
		if got := float64(whole[name]); (n == 0) != math.IsNaN(got) || math.Abs(sum-got) > 0.0006*float64(n+1) {
			t.Errorf("%s: %d rows of %s are %v, the whole is %v", where, n, name, sum, got)
		}
	}
}

func rowOf(a energyTest, i int) map[string]history.Number {
	row := map[string]history.Number{}
	for name, column := range a.Columns {
		row[name] = column[i]
	}
	return row
}

// within returns the rows of a whose labels begin so.
func within(a energyTest, begin string) energyTest {
	part := energyTest{Columns: map[string][]history.Number{}}
	for i, label := range a.Labels {
		if strings.HasPrefix(label, begin) {
			for name, column := range a.Columns {
				part.Columns[name] = append(part.Columns[name], column[i])
			}
		}
	}
	return part
}
