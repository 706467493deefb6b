package store

import (
	"fmt"
	"time"
)

// Period returns the period [start, end) of that resolution into which t falls, by the clocks of zone. An hour ends with
// the full hour of the local clock or where that clock is changed, so the hour that a clock shows twice is two periods;
// a day has 23, 24 or 25 of them, and begins at 01:00 where midnight is skipped.
func (r Resolution) Period(t time.Time, zone *time.Location) (start, end time.Time) {
	t = t.In(zone)
	switch y, m, d := t.Date(); r {
	case Year:
		return Midnight(y, 1, 1, zone), Midnight(y+1, 1, 1, zone)
	case Month:
		return Midnight(y, m, 1, zone), Midnight(y, m+1, 1, zone)
	case Day:
		return Midnight(y, m, d, zone), Midnight(y, m, d+1, zone)
	case Hour:
		_, offset := t.Zone()
		local := time.Duration(offset) * time.Second
		start = t.Add(local).Truncate(time.Hour).Add(-local)
		end = start.Add(time.Hour)
		since, until := t.ZoneBounds()
		if start.Before(since) {
			start = since
		}
		if !until.IsZero() && end.After(until) {
			end = until
		}
		return start, end
	default:
		start = t.Truncate(fixed[r])
		return start, start.Add(fixed[r])
	}
}

// fixed are the resolutions whose periods are the same in every zone.
var fixed = map[Resolution]time.Duration{Minute: time.Minute, FiveMinutes: 5 * time.Minute, Quarter: 15 * time.Minute}

// Midnight returns the first instant of a local day, which is 01:00 where the clocks go forward at midnight. Month and day may be beyond
// their ends, as for time.Date.
func Midnight(y int, m time.Month, d int, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Day(); t.Day() != day { // skipped: t is 23:00 of the day before
		_, t = t.ZoneBounds()
	}
	return t
}

func (r Resolution) validate() error {
	switch r {
	case Minute, FiveMinutes, Quarter, Hour, Day, Month, Year:
		return nil
	}
	return fmt.Errorf("resolution %q is none of 1m, 5m, 15m, 1h, 1d, 1M, 1y", r)
}
