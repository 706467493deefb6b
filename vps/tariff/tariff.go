// Package tariff is what energy costs, by the day: a file with prices and from when they hold.
//
//	file ──> Read ──> Tariff.On(day) ──> Prices ──> Money of kWh
package tariff

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strings"
	"time"
)

// Tariff is the content of a file:
//
//	{"currency": "EUR", "capacity": "be", "prices": [
//	  {"from": "2025-01-01", "import": 0.32, "export": 0.05, "co2_g_per_kwh": 150, "capacity_per_kw_year": 41.2},
//	  {"from": "2026-01-01", "import": 0.34, "export": 0.03}]}
type Tariff struct {
	Currency string   `json:"currency"` // ISO 4217
	Capacity string   `json:"capacity"` // be where the highest quarter-hours of the months cost money, else ""
	Prices   []Prices `json:"prices"`   // ascending
}

// Prices hold from the beginning of a local day until the next ones do. Each holds by itself: what one does not have is not
// known, whatever those before it had.
type Prices struct {
	From     string   `json:"from"`                 // YYYY-MM-DD
	Import   float64  `json:"import"`               // per kWh from the grid
	Export   float64  `json:"export"`               // per kWh to the grid
	CO2      *float64 `json:"co2_g_per_kwh"`        // of what comes from the grid
	Capacity *float64 `json:"capacity_per_kw_year"` // of the mean of the months' peaks
}

// Read reads a file. The error names everything that is wrong with it.
func Read(path string) (*Tariff, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

func parse(text []byte) (*Tariff, error) {
	t := new(Tariff)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(t); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more behind the first object")
	}
	var wrong []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	check(currency.MatchString(t.Currency), "currency %q is not three letters such as EUR", t.Currency)
	check(t.Capacity == "" || t.Capacity == "be", "capacity %q is not be", t.Capacity)
	check(len(t.Prices) > 0, "prices is empty")
	before := ""
	for i, p := range t.Prices {
		_, err := time.Parse(time.DateOnly, p.From)
		check(err == nil, "prices entry %d: from %q is not a date such as 2026-01-01", i+1, p.From)
		check(p.From > before, "prices entry %d: from %q is not later than the one before", i+1, p.From)
		for name, v := range map[string]*float64{"import": &p.Import, "export": &p.Export, "co2_g_per_kwh": p.CO2, "capacity_per_kw_year": p.Capacity} {
			check(v == nil || math.Abs(*v) <= 1e6, "prices entry %d: %s is more than a million", i+1, name)
		}
		before = p.From
	}
	if wrong != nil {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	return t, nil
}

// On returns the prices of the local day that a time is in, nil before the first ones.
func (t *Tariff) On(at time.Time) (p *Prices) {
	day := at.Format(time.DateOnly)
	for i := range t.Prices {
		if t.Prices[i].From > day {
			break
		}
		p = &t.Prices[i]
	}
	return p
}

// Same reports whether the same prices hold in all of [from, to), which begins and ends in one zone.
func (t *Tariff) Same(from, to time.Time) bool {
	return t.On(from) == t.On(to.Add(-time.Millisecond))
}

// Energies are kWh of a span.
type Energies struct{ Load, Import, Export float64 }

// Money is what a span costs, and what it would have cost to buy all of its load.
type Money struct {
	Cost  float64 // of import, less what export brings
	Saved float64 // against buying the whole load
	CO2   float64 // kg that the grid did not make
}

// Money returns what kWh cost at prices.
func (p *Prices) Money(e Energies) Money {
	m := Money{Cost: e.Import*p.Import - e.Export*p.Export, CO2: math.NaN()}
	m.Saved = e.Load*p.Import - m.Cost
	if p.CO2 != nil {
		m.CO2 = (e.Load - e.Import + e.Export) * *p.CO2 / 1000
	}
	return m
}

// Plus returns the sum of two spans.
func (m Money) Plus(other Money) Money {
	return Money{m.Cost + other.Cost, m.Saved + other.Saved, m.CO2 + other.CO2}
}
