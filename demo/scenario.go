package demo

import (
	"fmt"
	"time"

	"sunspool/edge/simulator"
	"sunspool/wire"
)

// latest is the first day that is too late for a demo.
var latest = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// scenario is what a demo shows. The zero value is the present, with all that a home may have.
type scenario struct {
	day       func(c *Config, zone *time.Location, host time.Time) (time.Time, error) // the demo's today unless --date is given; nil is the host's
	at        clockTime                                                               // of the start; zero is the host's
	noBattery bool
	noMeter   bool
	outage    bool       // the history has gaps
	breaks    bool       // the inverter does not answer any more after the first samples
	others    []neighbor // devices beside Device
}

// clockTime is a local time of day.
type clockTime struct{ hour, minute int }

var scenarios = map[string]scenario{
	"mixed":         {},
	"sunny":         {day: sunniest, at: clockTime{13, 30}},
	"winter":        {day: greyest, at: clockTime{16, 0}},
	"outage":        {at: clockTime{15, 0}, outage: true},
	"stale":         {at: clockTime{13, 0}, breaks: true},
	"dst":           {day: afterClockChange, at: clockTime{13, 0}},
	"no-battery":    {noBattery: true},
	"no-meter":      {noMeter: true},
	"two-inverters": {others: []neighbor{{id: "garage", model: "SG5.0RS", simulated: true}}},
	"fleet":         {day: evening, at: clockTime{20, 45}, others: fleet},
}

// start returns what the demo's clock shows when the host's shows host. A date without a time has the scenario's.
func (c *Config) start(zone *time.Location, host time.Time) (start time.Time, err error) {
	s, now := scenarios[c.Scenario], host.In(zone)
	if s.day != nil && c.Date == "" {
		if now, err = s.day(c, zone, host); err != nil {
			return now, err
		}
	}
	if s.at != (clockTime{}) {
		y, m, d := now.Date()
		now = time.Date(y, m, d, s.at.hour, s.at.minute, 0, 0, zone)
	}
	if now, err = simulator.StartAt(c.Date, now); err != nil {
		return now, err
	}
	if first := now.AddDate(0, 0, -c.Days); first.Before(wire.Oldest) || now.Year() >= latest.Year() { // the years of the house
		return now, fmt.Errorf("date %s: the history must begin in %d or later, and end before %d", now.Format(time.DateOnly), wire.Oldest.Year(), latest.Year())
	}
	return now, nil
}

// sunniest returns the day of the last June and July on which the home's modules give the most.
func sunniest(c *Config, zone *time.Location, host time.Time) (time.Time, error) {
	return c.best(season(host.In(zone), time.June), func(kWh, best float64) bool { return kWh > best })
}

// greyest returns the day of the last December and January on which they give the least.
func greyest(c *Config, zone *time.Location, host time.Time) (time.Time, error) {
	return c.best(season(host.In(zone), time.December), func(kWh, best float64) bool { return kWh < best })
}

// evening returns a day on which the sun has set at a quarter to nine while the heating is still off.
func evening(_ *Config, zone *time.Location, host time.Time) (time.Time, error) {
	return season(host.In(zone), time.September).AddDate(0, 0, 14), nil
}

// seasonDays are two months.
const seasonDays = 61

// season returns the beginning of the newest two months from month on that are over.
func season(now time.Time, month time.Month) time.Time {
	for year := now.Year(); ; year-- {
		if from := time.Date(year, month, 1, 0, 0, 0, 0, now.Location()); from.AddDate(0, 0, seasonDays).Before(now) {
			return from
		}
	}
}

// best returns the day from that day on whose sun is better than that of all others.
func (c *Config) best(from time.Time, better func(kWh, best float64) bool) (day time.Time, err error) {
	home, err := simulator.NewHome(simulator.HomeOptions{Model: c.Model, Seed: c.Seed, Zone: from.Location(), Since: from.AddDate(0, 0, -1)})
	if err != nil {
		return day, err
	}
	best := 0.0
	for n := range seasonDays {
		y, m, d := from.AddDate(0, 0, n).Date()
		kWh := home.At(time.Date(y, m, d, 23, 0, 0, 0, from.Location())).Today.PV
		if day.IsZero() || better(kWh, best) {
			day, best = time.Date(y, m, d, 0, 0, 0, 0, from.Location()), kWh
		}
	}
	return day, nil
}

// afterClockChange returns the second day after the last change of clocks.
func afterClockChange(c *Config, zone *time.Location, host time.Time) (time.Time, error) {
	change, _ := host.Add(-48 * time.Hour).In(zone).ZoneBounds()
	if change.IsZero() || host.Sub(change) > 400*24*time.Hour {
		return change, fmt.Errorf("--scenario dst: no clock has been changed in %s for a year; choose another zone with --tz", c.TZ)
	}
	return change.In(zone).AddDate(0, 0, 2), nil
}

// home returns the options of the first device's home.
func (c *Config) home(zone *time.Location, since time.Time) simulator.HomeOptions {
	s := scenarios[c.Scenario]
	return simulator.HomeOptions{Model: c.Model, Seed: c.Seed, Zone: zone, Since: since, NoBattery: s.noBattery, NoMeter: s.noMeter}
}

// gaps returns the spans for which the history has no samples, of the day of end and of a whole day of the week before. Between
// the samples around that of today there are 35 minutes.
func (s *scenario) gaps(end time.Time) []span {
	if !s.outage {
		return nil
	}
	y, m, d := end.Date()
	midnight := func(days int) time.Time { return time.Date(y, m, d+days, 0, 0, 0, 0, end.Location()) }
	today := time.Date(y, m, d, 11, 10, 0, 0, end.Location())
	return []span{{midnight(-5), midnight(-4)}, {today, today.Add(35*time.Minute - historyStep)}}
}

// span is the time from one instant up to another.
type span struct{ from, to time.Time }

func (s span) contains(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }
