package witness

import (
	"math"
	"time"
)

// Yield is what a poll reads of the energy that the panels gave, kWh; nil where a register has no value.
type Yield struct {
	Daily  *float64 // register of today
	Total  *float64 // lifetime counter
	Counts float64  // resolution of Total
	Sunny  bool     // the panels give power now
	Hybrid bool
	RatedW float64 // 0 if not known
}

// Day finds the PV energy since local midnight. The inverter has a register for it, which follows the inverter's own
// clock, and which a string inverter keeps until sunrise. What the lifetime counter rose since midnight is right where
// the two disagree. The zero value knows no day.
type Day struct {
	Date     string   `json:"date"`     // in local time, YYYY-MM-DD
	Midnight *float64 `json:"midnight"` // lifetime counter when the day began, kWh; nil if it was not read then

	total *float64 // lifetime counter of the last poll
	at    time.Time
	daily *float64  // register of the last poll that had one
	fell  time.Time // when the register was seen to begin this day; zero if it was not
	low   int       // polls in a row with a counter below Midnight
}

// What register and counter may differ by: resolution, rounding, and when they are renewed.
const (
	dailyApart        = 0.3
	dailyApartPercent = 2.0
)

const (
	longestNight = 20 * time.Hour   // without a reading around midnight, and still the same counter
	shortGap     = 10 * time.Minute // in which the counter may have moved a little
	lowPolls     = 10               // a counter that stays below is another one
	earlyFall    = time.Hour        // an inverter's clock may be ahead of ours
	lateFall     = 2 * time.Hour    // or behind
	sunrise      = 11 * time.Hour   // when a string inverter has begun its day at the latest
)

// Read returns the PV energy of the local day of at. A zero time is not known.
func (d *Day) Read(at time.Time, y Yield) *float64 {
	if at.IsZero() {
		return y.unchecked()
	}
	midnight := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, at.Location())
	if date := at.Format(time.DateOnly); date != d.Date {
		d.begin(date, at, y.Total)
	}
	d.watch(at, at.Sub(midnight), y)
	defer func() { d.at = at }()
	if d.Midnight != nil && y.Total != nil {
		return d.checked(at.Sub(midnight), y)
	}
	if y.Daily != nil && !d.fell.IsZero() {
		return y.Daily
	}
	return y.unchecked()
}

// begin starts a day. It began with the counter of the day before if nothing was produced in between.
func (d *Day) begin(date string, at time.Time, total *float64) {
	gap := at.Sub(d.at)
	d.Midnight = nil
	if d.total != nil && total != nil && gap >= 0 && (gap < shortGap || gap < longestNight && math.Abs(*total-*d.total) <= 0.1) {
		d.Midnight = d.total
	}
	if at.Sub(d.fell) > earlyFall+shortGap {
		d.fell = time.Time{}
	}
	d.Date, d.low = date, 0
}

// watch keeps what is needed to see the register fall.
func (d *Day) watch(at time.Time, since time.Duration, y Yield) {
	latest := sunrise
	if y.Hybrid {
		latest = lateFall
	}
	if y.Daily != nil {
		if d.daily != nil && *y.Daily < *d.daily-0.05 {
			d.fell = time.Time{}
			if since < latest || since > 24*time.Hour-earlyFall {
				d.fell = at
			}
		}
		d.daily = y.Daily
	}
	if y.Total != nil {
		d.total = y.Total
	}
}

// checked compares the register with what the counter rose.
func (d *Day) checked(since time.Duration, y Yield) *float64 {
	rose := math.Round((*y.Total-*d.Midnight)*10) / 10
	if rose < -0.05 {
		if d.low++; d.low >= lowPolls {
			d.Midnight = nil
		}
		return nil
	}
	d.low = 0
	if y.RatedW > 0 && rose > maxPVLoad*y.RatedW/1000*since.Hours()+1 {
		return nil // more than the panels can give: no reading of a counter
	}
	apart := max(dailyApart, y.Counts)
	if y.Daily != nil && math.Abs(*y.Daily-rose) <= apart+dailyApartPercent/100*max(*y.Daily, rose) && (*y.Daily > 0 || rose <= dailyApart) {
		return y.Daily
	}
	return &rose
}

// unchecked is the register where nothing is known of how the day began: not a 0, which may be a register that is not
// there, and not what may be yesterday's.
func (y Yield) unchecked() *float64 {
	if y.Daily == nil || y.Total == nil || *y.Daily == 0 || !y.Hybrid && !y.Sunny {
		return nil
	}
	return y.Daily
}
