package api

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"sunspool/vps/tariff"
	"sunspool/wire"
)

func priced(b *bench, t *tariff.Tariff) { b.Tariff, b.history.Tariff = t, t }

var twoPrices = &tariff.Tariff{Currency: "EUR", Capacity: "be", Prices: []tariff.Prices{
	{From: "2026-05-01", Import: 0.30, Export: 0.05, CO2: new(100.0), Capacity: new(41.2)},
	{From: "2026-06-15", Import: 0.50, Export: 0.10, CO2: new(100.0)}}}

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
	if before := answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution=day&from=2026-04-30&to=2026-04-30"); before.Columns["cost"][0] != nil || before.Totals["cost"] != nil {
		t.Errorf("before the first price: %+v", before)
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
	const want = `{"currency":"EUR","import":0.5,"export":0.1,"co2_g_per_kwh":100,"capacity":"be","capacity_per_kw_year":null}`
	if got := string(devices.Devices[0].Tariff); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
