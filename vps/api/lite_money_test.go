package api

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/vps/tariff"
	"sunspool/wire"
)

// The page without scripts has the money of the API's rows, to the last digit, for a browser and for a terminal; and without prices
// it has no word about money.
func TestLiteShowsMoneyWhereThereArePrices(t *testing.T) {
	now := time.Date(2026, 6, 21, 10, 30, 0, 0, time.UTC)
	lite := func(b *bench, target, accept string) string {
		t.Helper()
		w := do(b.api, "GET", "/lite"+target, viewer1, nil, "Accept", accept)
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", target, w.Code, w.Body)
		}
		return w.Body.String()
	}
	filled := func(all *tariff.Tariff) *bench {
		b := zoned(t, "Europe/Brussels", now)
		if all != nil {
			priced(b, all)
		}
		var samples []wire.Sample
		for at := time.Date(2026, 6, 19, 22, 0, 0, 0, time.UTC); at.Before(now); at = at.Add(time.Minute) {
			if at.Day() == 20 && at.Hour() == 3 {
				continue // not measured
			}
			export := -400.0 // at night
			if h := at.Hour(); h >= 8 && h < 10 {
				export = 7000
			}
			samples = append(samples, wire.Sample{Time: at, Count: 12, PVPowerW: max(0, export) + 500, LoadPowerW: new(500 - min(0, export)), ExportPowerW: &export})
		}
		b.put("inv-1", samples)
		return b
	}
	prices := tariff.Schedule{{From: "2026-01-01", Import: 0.31, Export: 0.3, FeePerMonth: 6}, {From: "2026-06-21", Import: 0.42, Export: -0.02, FeePerMonth: 6}}
	b := filled(&tariff.Tariff{Currency: "EUR", Prices: prices})
	days := answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution=day&from=2026-06-20&to=2026-06-21")
	month := answered[moneyAnswer](b, "/v1/energy?device_id=inv-1&resolution=month&from=2026-06-01&to=2026-06-21")
	text, page := lite(b, "", "text/plain"), lite(b, "", "text/html")
	shown := func(v float64) string { return strings.Replace(fmt.Sprintf("%.2f", v), "-", "−", 1) }
	for name, r := range map[string]struct {
		of moneyAnswer
		i  int
	}{"Today": {days, 1}, "Yesterday": {days, 0}, "This month": {month, 0}} {
		lines := regexp.MustCompile(`(?m)^`+name+` .*$`).FindAllString(text, -1)
		cells := regexp.MustCompile(`\s{2,}`).Split(lines[len(lines)-1], -1)
		want := []string{shown(*r.of.Columns["cost"][r.i]), shown(*r.of.Columns["saved"][r.i]), shown(*r.of.Columns["fee"][r.i])}
		if name != "Today" { // an hour of yesterday is missing, and no counter knows it
			want[0], want[1] = "≈ "+want[0], "≥ "+want[1]
		}
		if len(lines) != 2 || !slices.Equal(cells[1:], want) {
			t.Errorf("%s: %q, want %q", name, cells, want)
		}
		for _, cell := range want {
			if !strings.Contains(page, ">"+cell+"</td>") {
				t.Errorf("%s: the page does not have %s", name, cell)
			}
		}
	}
	if yesterday := *days.Columns["cost"][0]; yesterday >= 0 {
		t.Errorf("%v: nothing that was earned", yesterday)
	}
	for lang, want := range map[string]string{"en": "Cost (EUR)", "de": "Gespart (EUR)", "nl": "Vaste vergoeding (EUR)", "fr": "Économisé (EUR)"} {
		if !strings.Contains(lite(b, "?lang="+lang, "text/html"), want) || !strings.Contains(lite(b, "?lang="+lang, "text/plain"), want) {
			t.Errorf("%s: no %s", lang, want)
		}
	}
	if text := lite(b, "?lang=de", "text/plain"); !strings.Contains(text, strings.Replace(shown(*days.Columns["saved"][1]), ".", ",", 1)) {
		t.Error(text)
	}

	prices[0].FeePerMonth, prices[1].FeePerMonth = 0, 0
	for name, none := range map[string]*bench{"no fee": b, "no prices": filled(nil), "no prices yet": filled(&tariff.Tariff{Currency: "EUR", Prices: tariff.Schedule{{From: "2027-01-01", Import: 1}}})} {
		all := lite(none, "", "text/plain") + lite(none, "", "text/html")
		if strings.Contains(all, "fee") || name != "no fee" && regexp.MustCompile("EUR|Cost|Saved").MatchString(all) {
			t.Errorf("%s: %s", name, all)
		}
	}
}
