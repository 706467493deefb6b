package tariff

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const good = `{"currency": "EUR", "capacity": "be", "prices": [
	{"from": "2025-01-01", "import": 0.32, "export": 0.05, "co2_g_per_kwh": 150, "capacity_per_kw_year": 41.2},
	{"from": "2026-03-29", "import": 0.34, "export": -0.01}]}`

func TestPricesHoldFromALocalMidnight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tariff.json")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	prices, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]float64{"2024-12-31T23:00:00Z": 0.32, "2026-03-28T22:59:59Z": 0.32, "2026-03-28T23:00:00Z": 0.34, "2030-01-01T00:00:00Z": 0.34} {
		when, _ := time.Parse(time.RFC3339, at)
		if p := prices.On(when.In(zone)); p == nil || p.Import != want {
			t.Errorf("%s: %+v, want %v", at, p, want)
		}
	}
	if p := prices.On(time.Date(2024, 12, 31, 23, 59, 59, 0, zone)); p != nil {
		t.Errorf("before the first: %+v", p)
	}
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, zone) }
	if !prices.Same(day(3, 1), day(3, 29)) || prices.Same(day(3, 1), day(3, 30)) || !prices.Same(day(3, 29), day(4, 1)) {
		t.Error("the month in which prices change")
	}
}

// The file in the documentation can be read.
func TestTheDocumentedFileIsOne(t *testing.T) {
	page, err := os.ReadFile("../../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```json\n")
	text, _, _ = strings.Cut(text, "```")
	if prices, err := parse([]byte(text)); err != nil || len(prices.Prices) != 2 {
		t.Errorf("%v:\n%s", err, text)
	}
}

// What was bought and what it brought is the cost; what was saved is measured against buying everything.
func TestMoneyAddsUp(t *testing.T) {
	p := Prices{Import: 0.30, Export: 0.10, CO2: new(200.0)}
	m := p.Money(Energies{Load: 10, Import: 4, Export: 6})
	for name, v := range map[string][2]float64{"cost": {m.Cost, 0.6}, "saved": {m.Saved, 2.4}, "CO2": {m.CO2, 2.4}} {
		if math.Abs(v[0]-v[1]) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, v[0], v[1])
		}
	}
	if all := 10 * p.Import; math.Abs(m.Cost+m.Saved-all) > 1e-9 {
		t.Errorf("cost and saved are %v, want %v", m.Cost+m.Saved, all)
	}
	if m := (&Prices{Import: 1}).Money(Energies{Load: 1, Import: math.NaN()}); !math.IsNaN(m.Cost) || !math.IsNaN(m.Saved) || !math.IsNaN(m.CO2) {
		t.Errorf("of what is not known: %+v", m)
	}
}

func TestAWrongFileIsNamedOnce(t *testing.T) {
	for text, want := range map[string][]string{
		``:          {"EOF"},
		`[]`:        {"cannot unmarshal"},
		`{"x"`:      {"unexpected EOF"},
		`{}`:        {`currency ""`, "prices is empty"},
		good + `{}`: {"more behind"},
		strings.Replace(good, "import", "imprt", 1):                            {`unknown field "imprt"`},
		strings.Replace(good, "0.32", `"0.32"`, 1):                             {"cannot unmarshal"},
		strings.Replace(good, "EUR", "€", 1):                                   {`currency "€"`},
		strings.Replace(good, `"be"`, `"de"`, 1):                               {`capacity "de"`},
		strings.Replace(good, "2025-01-01", "2027-01-01", 1):                   {"entry 2", "not later"},
		strings.Replace(good, "2026-03-29", "29.3.2026", 1):                    {"entry 2", "not a date"},
		strings.Replace(strings.Replace(good, "EUR", "", 1), "0.32", "1e9", 1): {"currency", "entry 1: import"},
	} {
		_, err := parse([]byte(text))
		for _, says := range want {
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want %q", text, err, says)
			}
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a file that is not there")
	}
}
