// Package tariff is what energy costs: a file with prices, from which day they hold, and at which hours.
//
//	file ──> Read ──> Tariff.Of(device) ──> Schedule.On(day) ──> Prices.At(time) ──> price of a kWh
package tariff

import "time"

// Tariff is the content of a file. docs/tariff.md describes it.
type Tariff struct {
	Currency string              // ISO 4217
	Capacity string              // be where the highest quarter-hours of the months cost money, else ""
	Prices   Schedule            // of all devices
	Devices  map[string]Schedule // of those that have their own
}

// Of returns the prices of a device.
func (t *Tariff) Of(device string) Schedule {
	if own, ok := t.Devices[device]; ok {
		return own
	}
	return t.Prices
}

// Schedule is prices by the day from which they hold, ascending.
type Schedule []Prices

// Prices hold from the beginning of a local day until the next ones do. Each holds by itself: what one does not have is not
// known, whatever those before it had.
type Prices struct {
	From        string   // YYYY-MM-DD
	Import      float64  // per kWh from the grid
	Export      float64  // per kWh to the grid
	Windows     []Window // in which other prices hold; of several the first one that has a price
	CO2         *float64 // g for a kWh from the grid
	Capacity    *float64 // for a kW of the mean of the months' peaks, per year
	FeePerYear  float64  // whatever is used
	FeePerMonth float64
}

// Window is hours of some days of the week, by the local clock.
type Window struct {
	Days           Days
	From, To       int      // minutes since midnight, of whole quarter-hours; where To is not later it is that of the next day
	Import, Export *float64 // nil: as without the window
}

// Days are days of the week, a bit each; Sunday is the lowest.
type Days uint8

const Workdays Days = 1<<time.Monday | 1<<time.Tuesday | 1<<time.Wednesday | 1<<time.Thursday | 1<<time.Friday

const quarter = 15 * time.Minute

// On returns the prices of the local day that a time is in, nil before the first ones.
func (s Schedule) On(at time.Time) (p *Prices) {
	day := at.Format(time.DateOnly)
	for i := range s {
		if s[i].From > day {
			break
		}
		p = &s[i]
	}
	return p
}

// At returns what a kWh from the grid costs at a local time, and what one to it brings.
func (p *Prices) At(t time.Time) (imports, exports float64) { return p.at(shown(t)) }

// shown is what the local clock shows at t, as if it were UTC, s since 1970.
func shown(t time.Time) int64 {
	_, offset := t.Zone()
	return t.Unix() + int64(offset)
}

func (p *Prices) at(shown int64) (imports, exports float64) {
	imports, exports = p.Import, p.Export
	minute, day := int(shown/60%1440), int(shown/86400+4)%7 // 1970 began on a Thursday
	for i := len(p.Windows) - 1; i >= 0; i-- {
		w := &p.Windows[i]
		if !w.has(day, minute) {
			continue
		}
		if w.Import != nil {
			imports = *w.Import
		}
		if w.Export != nil {
			exports = *w.Export
		}
	}
	return imports, exports
}

func (w *Window) has(day, minute int) bool {
	today, yesterday := w.Days>>day&1 != 0, w.Days>>((day+6)%7)&1 != 0
	if w.From < w.To {
		return today && w.From <= minute && minute < w.To
	}
	return today && w.From <= minute || yesterday && minute < w.To
}

// Borders returns the times in (from, to), which are in one zone, at which a price changes. They begin quarter-hours of the
// clock, also where clocks are changed.
func (s Schedule) Borders(from, to time.Time) (all []time.Time) {
	p := s.On(from)
	if p == s.On(to.Add(-1)) && (p == nil || p.Windows == nil) {
		return nil
	}
	day := shown(from) / 86400
	var imports, exports float64
	if p != nil {
		imports, exports = p.At(from)
	}
	var offset int64
	known := from // until when offset holds
	for t := from.Truncate(quarter).Add(quarter); t.Before(to); t = t.Add(quarter) {
		if !t.Before(known) {
			offset = shown(t) - t.Unix()
			if _, known = t.ZoneBounds(); known.IsZero() {
				known = to
			}
		}
		was, now := p, t.Unix()+offset
		if now/86400 != day {
			day, p = now/86400, s.On(t)
		}
		i, e := imports, exports
		if p != nil {
			i, e = p.at(now)
		}
		if p != was || i != imports || e != exports {
			all, imports, exports = append(all, t), i, e
		}
	}
	return all
}

// Fees returns the fixed fees of a local day: its part of those of its year and of its month.
func (p *Prices) Fees(day time.Time) float64 {
	y, m, _ := day.Date()
	return p.FeePerYear/float64(time.Date(y, 12, 31, 0, 0, 0, 0, time.UTC).YearDay()) +
		p.FeePerMonth/float64(time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day())
}

// HasFees reports whether any of the prices has a fixed fee.
func (s Schedule) HasFees() bool {
	for i := range s {
		if s[i].FeePerYear != 0 || s[i].FeePerMonth != 0 {
			return true
		}
	}
	return false
}
