package store

import (
	"fmt"
	"time"
)

// Period returns the period [start, end) of that resolution into which t falls, by the clocks of zone. An hour ends with
// the full hour of the local clock or where that clock is changed, so the hour that a clock shows twice is two periods;
// a day has 23, 24 or 25 of them, and begins at 01:00 where midnight is skipped. Where clocks go back across midnight a
// day ends with the last midnight: what the clock shows of the next date before that belongs to the earlier day, month
// and year.
func (r Resolution) Period(t time.Time, zone *time.Location) (start, end time.Time) {
	t = t.In(zone)
	switch r {
	case Year:
		y := t.Year()
		return around(t, Midnight(y, 1, 1, zone), func(n int) time.Time { return Midnight(y+n, 1, 1, zone) })
	case Month:
		y, m, _ := t.Date()
		return around(t, Midnight(y, m, 1, zone), func(n int) time.Time { return Midnight(y, m+time.Month(n), 1, zone) })
	case Day:
		if steady(t) {
			return clockPeriod(t, 24*time.Hour)
		}
		y, m, d := t.Date()
		return around(t, Midnight(y, m, d, zone), func(n int) time.Time { return Midnight(y, m, d+n, zone) })
	case Hour:
		start, end = clockPeriod(t, time.Hour)
		if steady(t) {
			return start, end
		}
		for at := NextChange(start); !at.IsZero() && at.Before(end); at = NextChange(at) {
			switch {
			case offsetAt(at) == offsetAt(at.Add(-1)): // only the name of the zone changes
			case at.After(t):
				return start, at
			default:
				start = at
			}
		}
		return start, end
	default:
		start = t.Truncate(fixed[r])
		return start, start.Add(fixed[r])
	}
}

// fixed are the resolutions whose periods are the same in every zone.
var fixed = map[Resolution]time.Duration{Minute: time.Minute, FiveMinutes: 5 * time.Minute, Quarter: 15 * time.Minute}

// around returns the period that t lies in: the one that begins at start, by the date that the clock shows at t, or the
// one before it. next returns the start of the period so many further.
func around(t, start time.Time, next func(n int) time.Time) (time.Time, time.Time) {
	if t.Before(start) {
		return next(-1), start
	}
	return start, next(1)
}

// Midnight returns where a local day begins: the first instant from which on the date is never an earlier one. It is
// 01:00 where the clocks go forward at midnight. Month and day may be beyond their ends, as for time.Date.
func Midnight(y int, m time.Month, d int, zone *time.Location) time.Time {
	return Clock(y, m, d, 0, zone)
}

// clockPeriod is the period of t of a length that divides a day, by the clock that is shown at t.
func clockPeriod(t time.Time, length time.Duration) (start, end time.Time) {
	local := time.Duration(offsetAt(t)) * time.Second
	start = t.Add(local).Truncate(length).Add(-local)
	return start, start.Add(length)
}

// offsetAt is how far the clock is ahead of UTC, s.
func offsetAt(t time.Time) int {
	_, offset := t.Zone()
	return offset
}

// nearChange is longer than a day, and than any clock was ever changed by.
const nearChange = 26 * time.Hour

// steady reports whether no clock is changed near t. Only the end that ZoneBounds returns is used: its start may be that of a
// rule that did not apply yet, as in Ciudad Juárez in 2022.
func steady(t time.Time) bool {
	before := t.Add(-nearChange)
	_, until := before.ZoneBounds()
	return until.IsZero() || until.Sub(before) > 2*nearChange
}

// NextChange returns when the clocks of t's zone may be changed next, zero when never. In zones whose changes follow a
// rule ZoneBounds takes the end of a year for one as well, in leap years a day too early, which may be before t.
func NextChange(t time.Time) time.Time {
	_, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		end = end.AddDate(0, 0, 1)
	}
	return end
}

// Clock returns the first instant from which on the local clock, with its date, never shows less than that time since
// midnight: the end of the change where it is skipped, mostly the second of two where it comes twice.
func Clock(y int, m time.Month, d int, since time.Duration, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, int(since/time.Second), int(since%time.Second), zone)
	if steady(t) {
		return t
	}
	return afterChange(time.Date(y, m, d, 0, 0, int(since/time.Second), int(since%time.Second), time.UTC), zone)
}

// afterChange is Clock near a change of clocks, for what they show as if it were UTC. It follows the clock from change to
// change: after each of them the instant is the one at which that clock shows it, or the change itself where it already
// shows more.
func afterChange(shown time.Time, zone *time.Location) (found time.Time) {
	for at := shown.Add(-2 * nearChange).In(zone); ; {
		if t := shown.Add(-time.Duration(offsetAt(at)) * time.Second); t.After(at) {
			found = t
		} else if at.Before(found) {
			found = at
		}
		if at = NextChange(at); at.IsZero() || at.Sub(shown) > nearChange {
			return found.In(zone)
		}
	}
}

func (r Resolution) validate() error {
	switch r {
	case Minute, FiveMinutes, Quarter, Hour, Day, Month, Year:
		return nil
	}
	return fmt.Errorf("resolution %q is none of 1m, 5m, 15m, 1h, 1d, 1M, 1y", r)
}
