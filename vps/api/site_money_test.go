package api

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/vps/tariff"
	"sunspool/wire"
)

// villagePrices are of day and night, and others of garage, with a price that changes and a fee.
var villagePrices = &tariff.Tariff{Currency: "EUR",
	Prices: tariff.Schedule{{From: "2025-01-01", Import: 0.30, Export: 0.05, CO2: new(150.0),
		Windows: []tariff.Window{{Days: tariff.Workdays, From: 7 * 60, To: 22 * 60, Import: new(0.40)}}}},
	Devices: map[string]tariff.Schedule{"garage": {{From: "2025-01-01", Import: 0.25, CO2: new(150.0), FeePerMonth: 5}, {From: "2026-10-26", Import: 0.5, Export: 0.1, CO2: new(100.0), FeePerMonth: 5}}}}

// Behind one meter the house saves what all inverters make together, by the prices of the meter. An inverter that is not heard of
// makes that unknown, and is named; what the grid costs is known by the meter all the same.
func TestWhatAHouseWithOneMeterSaves(t *testing.T) {
	now := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	var roof, shed []wire.Sample
	for at := now.Add(-4 * time.Hour); at.Before(now); at = at.Add(30 * time.Second) {
		// The house takes 3000 W: 1000 of roof, 1500 of shed and 500 of the grid. The inverter with the meter computes its load of what it sees.
		roof = append(roof, wire.Sample{Time: at, Count: 1, Interval: 30 * time.Second, PVPowerW: 1000, LoadPowerW: new(1500.0), ExportPowerW: new(-500.0)})
		if at.Before(now.Add(-2*time.Hour)) || at.After(now.Add(-time.Hour)) {
			shed = append(shed, wire.Sample{Time: at, Count: 1, Interval: 30 * time.Second, PVPowerW: 1500})
		}
	}
	b := household(t, now, map[string][]wire.Sample{"roof": roof, "shed": shed})
	own := func(roof, shed float64) *tariff.Tariff {
		return &tariff.Tariff{Currency: "EUR", Prices: tariff.Schedule{{From: "2026-01-01", Import: roof, CO2: new(100.0), FeePerYear: 365}},
			Devices: map[string]tariff.Schedule{"shed": {{From: "2026-01-01", Import: shed, FeePerYear: 730}}}}
	}
	priced(b, own(0.4, 99)) // shed has no connection: its prices are nobody's
	ask := func() siteEnergy {
		return answered[siteEnergy](b, "/v1/energy?site=home&tz=UTC&resolution=hour&from=2026-06-21T08:00:00Z&to=2026-06-21T12:00:00Z")
	}
	site := ask()
	near := func(name string, i int, want float64) {
		t.Helper()
		if got := float64(site.Columns[name][i]); !(math.Abs(got-want) < 0.01) {
			t.Errorf("%s of hour %d: %v, want %v", name, i, got, want)
		}
	}
	for i := range 4 {
		near("cost", i, 0.2)
		near("fee", i, 1.0/24)
	}
	for _, i := range []int{0, 1, 3} {
		near("saved", i, 2.5*0.4)
		near("co2_avoided_kg", i, 0.25)
	}
	if v := float64(site.Columns["saved"][2]); v > 0.1 {
		t.Errorf("saved while shed is silent: %v", v)
	}
	priced(b, own(0.4, 99))
	b.put("attic", roof) // another meter, with the same prices
	if err := b.bolt.SetSite(t.Context(), store.Site{Name: "home", Devices: []string{"attic", "roof", "shed"}}); err != nil {
		t.Fatal(err)
	}
	site = ask()
	near("saved", 0, 3.5*0.4)
	near("cost", 0, 0.4)
	other := own(0.4, 99)
	other.Devices["attic"] = tariff.Schedule{{From: "2026-01-01", Import: 0.1}}
	priced(b, other) // and with others: whose kWh was saved is not known
	site = ask()
	near("cost", 0, 0.25)
	if v := site.Columns["saved"][0]; v == v || !slices.Contains(site.Incomplete["attic"], "saved") || !slices.Contains(site.Incomplete["roof"], "saved") {
		t.Errorf("with two prices %v is saved, and what is said is %v", v, site.Incomplete)
	}
}

// What is not known of one connection is not known of the site, and the answer names it.
func TestMoneyOfASiteThatOneDeviceDoesNotKnow(t *testing.T) {
	now := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(5, 6))
	b := household(t, now, map[string][]wire.Sample{"barn": inverter(r, now.AddDate(0, 0, -3), now, time.Minute, false, 0.1), "roof": inverter(r, now.AddDate(0, 0, -1), now, time.Minute, true, 0.1)})
	priced(b, &tariff.Tariff{Currency: "EUR", Prices: tariff.Schedule{{From: "2026-01-01", Import: 0.3}}})
	site := answered[siteEnergy](b, "/v1/energy?site=home&tz=UTC&resolution=day&from=2026-06-19&to=2026-06-21")
	if cost := site.Columns["cost"]; cost[0] == cost[0] || cost[2] != cost[2] || !slices.Equal(site.Incomplete["barn"], nil) || !slices.Contains(site.Incomplete["roof"], "cost") {
		t.Errorf("it costs %v, and what is said is %v", cost, site.Incomplete)
	}
	if kg := site.Columns["co2_avoided_kg"]; kg[2] == kg[2] {
		t.Errorf("%v kg of CO2, of which no price has anything", kg)
	}
}

// What is of one device alone says so to who asks it about a site.
func TestWhatIsNotAnsweredForASiteSaysSo(t *testing.T) {
	b := household(t, testNow, map[string][]wire.Sample{"barn": {sample(0)}, "roof": {sample(0)}})
	for _, path := range []string{wire.PeaksPath, wire.CapacityPath + "2026-06", wire.ContinuityPath} {
		if w := b.get(path+"?site=home", viewerAll); w.Code != 422 || !strings.Contains(w.Body.String(), "not answered for a site: ask for each of its devices") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
