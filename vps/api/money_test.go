package api

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/tariff"
	"sunspool/wire"
)

func priced(b *bench, t *tariff.Tariff) {
	b.Tariff = tariff.Fixed(t)
	b.history.Tariff = b.Tariff
}

var twoPrices = &tariff.Tariff{Currency: "EUR", Capacity: "be", Prices: []tariff.Prices{
	{From: "2026-05-01", Import: 0.30, Export: 0.05, CO2: new(100.0), Capacity: new(41.2)},
	{From: "2026-06-15", Import: 0.50, Export: 0.10, CO2: new(100.0)}}}

var onePrice = &tariff.Tariff{Currency: "EUR", Capacity: "be", Prices: twoPrices.Prices[:1]}

func withFee(from string) *tariff.Tariff {
	return &tariff.Tariff{Currency: "EUR", Prices: tariff.Schedule{{From: from, Import: 0.3, FeePerYear: 60}}}
}

type moneyAnswer struct {
	Labels  []string
	Columns map[string][]*float64
	Totals  map[string]*float64
}

// Every row has the prices of its own days: days, and a month in which they change, cost the same together.
func TestMoneyFollowsThePricesOfTheDays(t *testing.T) {
	b := zoned(t, "Europe/Brussels", time.Date(2026, 6, 21, 12, 30, 0, 0, time.UTC))
	priced(b, twoPrices)
	var samples []wire.Sample
	zone := brussels(t)
	for day := 10; day <= 20; day++ {
		for minute := range 120 { // 1 kWh imported an hour, and 0.5 kWh exported in the next
			at := time.Date(2026, 6, day, 8, minute, 0, 0, zone)
			export := -1000.0
			if minute >= 60 {
				export = 500
			}
			samples = append(samples, wire.Sample{Time: at, Count: 12, PVPowerW: 1000, LoadPowerW: new(1000 - export), ExportPowerW: &export})
		}
	}
	b.put("inv-1", samples)
	days := answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution=day&from=2026-06-01&to=2026-06-20")
	month := answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution=month&from=2026-06-01&to=2026-06-30")
	sum := 0.0
	for i, label := range days.Labels {
		cost, saved := days.Columns["cost"][i], days.Columns["saved"][i]
		if label < "2026-06-10" {
			if cost != nil || saved != nil {
				t.Errorf("%s costs %v without a sample", label, *cost)
			}
			continue
		}
		price, brings := 0.30, 0.05
		if label >= "2026-06-15" {
			price, brings = 0.50, 0.10
		}
		imported, exported, load := *days.Columns["import_kwh"][i], *days.Columns["export_kwh"][i], *days.Columns["load_kwh"][i]
		if want := imported*price - exported*brings; math.Abs(*cost-want) > 0.006 || math.Abs(*saved+*cost-load*price) > 0.011 {
			t.Errorf("%s costs %v and saves %v, want %v of %v", label, *cost, *saved, want, load*price)
		}
		sum += *cost
	}
	if total := days.Totals["cost"]; total == nil || math.Abs(*total-sum) > 0.006 {
		t.Errorf("the days cost %v, their total is %v", sum, total)
	}
	if cost := month.Columns["cost"][0]; cost == nil || math.Abs(*cost-sum) > 0.06 || sum < 1 {
		t.Errorf("the month costs %v, its days %v", cost, sum)
	}
	avoided, months := 0.0, *month.Columns["co2_avoided_kg"][0]
	for _, kg := range days.Columns["co2_avoided_kg"] {
		if kg != nil {
			avoided += *kg
		}
	}
	if saved := *month.Columns["saved"][0]; math.Abs(avoided-months) > 0.06 || avoided < 0.5 || math.Abs(saved-*days.Totals["saved"]) > 0.06 || saved < 0.5 {
		t.Errorf("the month avoids %v kg and saves %v, its days %v and %v", months, saved, avoided, *days.Totals["saved"])
	}
	if before := answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution=day&from=2026-04-30&to=2026-04-30"); before.Columns["cost"][0] != nil || before.Totals["cost"] != nil {
		t.Errorf("before the first price: %+v", before)
	}
}

// A span without a sample in which prices change costs nothing that is known, and not 0.
func TestNoSampleCostsNoMoney(t *testing.T) {
	b := zoned(t, "Europe/Brussels", time.Date(2026, 8, 21, 12, 30, 0, 0, time.UTC))
	priced(b, twoPrices)
	one := sample(0)
	one.Time = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)
	b.put("inv-1", []wire.Sample{one})
	june := answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution=month&from=2026-06-01&to=2026-06-30")
	for name, column := range june.Columns {
		if (name == "cost" || name == "saved" || name == "co2_avoided_kg") && (len(column) != 1 || column[0] != nil || june.Totals[name] != nil) {
			t.Errorf("%s: %+v, total %v", name, *column[0], june.Totals[name])
		}
	}
	if len(june.Columns["cost"]) != 1 {
		t.Errorf("%+v", june)
	}
}

// Without a tariff there is no money anywhere, and without a meter no money of that device.
func TestMoneyIsAbsentWhereItIsNotKnown(t *testing.T) {
	b := newVillage(t)
	for _, target := range []string{"/v1/energy?device_id=roof", "/v1/devices"} {
		if body := b.get(target, viewerAll).Body.String(); strings.Contains(body, "cost") || strings.Contains(body, "tariff") || strings.Contains(body, "saved") {
			t.Errorf("%s: %s", target, body)
		}
	}
	priced(b, twoPrices)
	barn := decodeJSON[moneyAnswer](t, b.get("/v1/energy?device_id=barn&from=2026-06-21&to=2026-06-21", viewerAll))
	if len(barn.Columns["cost"]) != 1 || barn.Columns["cost"][0] != nil || barn.Totals["saved"] != nil {
		t.Errorf("without a meter: %+v", barn)
	}
	var devices struct {
		Devices []struct{ Tariff json.RawMessage }
	}
	if err := json.Unmarshal(b.get("/v1/devices?device_id=roof", viewerAll).Body.Bytes(), &devices); err != nil {
		t.Fatal(err)
	}
	const want = `{"currency":"EUR","from":"2026-06-15","import":0.5,"export":0.1,"co2_g_per_kwh":100,"capacity":"be","capacity_per_kw_year":null}`
	if got := string(devices.Devices[0].Tariff); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The bill in docs/tariff.md is computed there by hand, with the prices of its example.
func TestABillIsTheOneThatWasComputedByHand(t *testing.T) {
	const path = "../../docs/tariff.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```jsonc\n")
	example, _, _ = strings.Cut(example, "```")
	file := filepath.Join(t.TempDir(), "tariff.json")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	prices, err := tariff.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	zone := brussels(t)
	b := zoned(t, "Europe/Brussels", time.Date(2026, 2, 3, 12, 0, 0, 0, zone))
	priced(b, prices)
	var samples []wire.Sample
	for at := time.Date(2025, 12, 1, 0, 0, 0, 0, zone); at.Before(time.Date(2026, 2, 1, 0, 0, 0, 0, zone)); at = at.Add(5 * time.Minute) {
		export := -400.0
		weekend := at.Weekday() == time.Saturday || at.Weekday() == time.Sunday
		switch {
		case at.Month() == 12:
		case weekend && at.Hour() == 12:
			export = 1000
		case !weekend && at.Hour() == 18:
			export = -3000
		}
		samples = append(samples, wire.Sample{Time: at.Add(150 * time.Second), Count: 60, Interval: 5 * time.Minute, ExportPowerW: &export,
			PVPowerW: max(export, 0), LoadPowerW: new(max(-export, 0))})
	}
	b.put("inv-1", samples)

	january := answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution=month&from=2026-01-01&to=2026-01-31").Totals
	peaks := answered[history.PeaksAnswer](b, "/v1/capacity?device_id=inv-1&month=2026-01")
	for _, v := range []struct {
		name      string
		got, want float64
		written   string // in the page
	}{
		{"import", *january["import_kwh"], 268.4 + 9*9.2, "22 × 12.2 = 268.4"},
		{"export", *january["export_kwh"], 9, "| 1 |"},
		{"cost", *january["cost"], 109.508, "**109.508**"},
		{"fee", *january["fee"], 5, "**5.00**"},
		{"mean", float64(peaks.MeanW), 2750, "the mean is 2.75 kW"},
		{"peaks", float64(peaks.Cost.Month), 11.4583, "**11.458**"},
		{"together", *january["cost"] + *january["fee"] + float64(peaks.Cost.Month), 125.9663, "**125.97**"},
		{"in a year", float64(peaks.Cost.Year), 137.5, ""},
	} {
		if math.Abs(v.got-v.want) > 0.0011 || !strings.Contains(string(page), v.written) {
			t.Errorf("%s is %v, computed by hand it is %v; the page has %q: %v", v.name, v.got, v.want, v.written, strings.Contains(string(page), v.written))
		}
	}
}

// A counter that rises while nothing is received has its energy at the price of its hours, as well as that is known: where a
// gap crosses a change of price the answer has how much of the cost is uncertain; and however the time is cut, it costs the same.
// The load of the gap is not known, and is no loss: all of it was bought here, and nothing saved.
func TestMoneyOfAGapIsCountedOnce(t *testing.T) {
	zone := brussels(t)
	b := zoned(t, "Europe/Brussels", time.Date(2026, 6, 14, 12, 0, 0, 0, zone))
	all := &tariff.Tariff{Currency: "EUR", Prices: tariff.Schedule{{From: "2026-06-01", Import: 0.2, Export: 0.05, CO2: new(100.0),
		Windows: []tariff.Window{{Days: tariff.Workdays, From: 7 * 60, To: 22 * 60, Import: new(0.4)}}}}}
	priced(b, all)
	var samples []wire.Sample
	kwh := 1000.0
	gap := func(at time.Time) bool {
		day, minute := at.Day(), at.Hour()*60+at.Minute()
		return day == 9 && minute >= 600 && minute < 720 || // of one price
			day == 10 && minute >= 20*60 || day == 11 && minute < 60 // of two, and over midnight
	}
	for at := time.Date(2026, 6, 8, 0, 0, 0, 0, zone); at.Day() < 13; at = at.Add(time.Minute) {
		if !gap(at) { // the reading is that of the middle of the minute
			samples = append(samples, wire.Sample{Time: at.Add(30 * time.Second), Count: 12, Interval: time.Minute, PVPowerW: 0, LoadPowerW: new(1200.0),
				ExportPowerW: new(-1200.0), ImportTotalKWh: new(kwh + 0.01), ExportTotalKWh: new(77.0)})
		}
		kwh += 0.02
	}
	b.put("inv-1", samples)
	ask := func(resolution string) moneyAnswer {
		return answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution="+resolution+"&from=2026-06-08&to=2026-06-12")
	}
	days := ask("day")
	// A day: 15 h at 0.4 and 9 h at 0.2, of 1.2 kW.
	const whole = 1.2 * (15*0.4 + 9*0.2)
	for i, label := range days.Labels {
		cost, saved, spread := *days.Columns["cost"][i], *days.Columns["saved"][i], *days.Columns["spread_cost"][i]
		crossed := 0.0 // money of the gap across a border
		switch label {
		case "2026-06-10":
			crossed = 2*1.2*0.4 + 2*1.2*0.2
		case "2026-06-11":
			crossed = 1.2 * 0.2
		}
		if math.Abs(cost-whole) > 0.02 || math.Abs(saved) > 0.02 || math.Abs(spread-crossed) > 0.02 {
			t.Errorf("%s costs %v and saves %v, %v of it uncertain; want %v, 0, %v", label, cost, saved, spread, whole, crossed)
		}
	}
	for _, resolution := range []string{"hour", "month", "year"} {
		other := ask(resolution)
		for _, name := range []string{"cost", "saved", "co2_avoided_kg"} {
			if got, want := *other.Totals[name], *days.Totals[name]; math.Abs(got-want) > 0.002 {
				t.Errorf("%s of the %ss is %v, of the days %v", name, resolution, got, want)
			}
		}
	}
	all.Prices[0].Windows = nil
	if got := ask("month"); got.Columns["spread_cost"] != nil || got.Totals["cost"] == nil {
		t.Errorf("of one price in one row nothing is uncertain: %v", got.Columns["spread_cost"])
	}
}
