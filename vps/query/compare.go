package query

import (
	"time"

	"sunspool/vps/store"
)

// ComparedWith returns the span that sp is compared with: the one before it, or the same a year earlier. Days of the calendar
// are moved, not instants: the first day of sp and the last one, each at its own time of day. A day that the earlier month
// does not have is none. Whole months are compared with whole months, whatever their lengths. Of a span that is not
// over, only the part that has as much of its time behind it.
func (sp Span) ComparedWith(mode string, now time.Time) (earlier Span, elapsed bool) {
	months, days := 12, 0
	if mode == "previous" {
		months, days = sp.length()
	}
	moved := func(t clockTime) time.Time { return t.back(months, days).instant(sp.Zone) }
	earlier = Span{From: moved(sp.clock(sp.From)), Zone: sp.Zone}
	if earlier.To = moved(sp.clock(sp.To)); sp.months() == 0 {
		earlier.To = Later(moved(sp.lastClock()), earlier.From)
	}
	if now = now.In(sp.Zone); now.Before(sp.To) && now.After(sp.From) {
		elapsed = true
		earlier.To = Later(Earlier(moved(sp.clock(now)), earlier.To), earlier.From)
	}
	return earlier, elapsed
}

// length is how far back the span before sp begins: months, where it is made of whole ones, else days.
func (sp Span) length() (months, days int) {
	if months = sp.months(); months > 0 {
		return months, 0
	}
	first, end := sp.clock(sp.From), sp.lastClock()
	if end.since > first.since {
		days++
	}
	return 0, max(1, days+int(end.date().Sub(first.date()).Hours()/24))
}

// months is of how many whole months sp is made; 0 when it is not.
func (sp Span) months() int {
	first, end := sp.clock(sp.From), sp.clock(sp.To)
	if first.day != 1 || end.day != 1 || first.since != 0 || end.since != 0 {
		return 0
	}
	return 12*(end.year-first.year) + int(end.month-first.month)
}

// clockTime is what a local clock shows: a date, and the time since its midnight.
type clockTime struct {
	year  int
	month time.Month
	day   int
	since time.Duration
}

// clock returns what the clock shows at t; where a day begins that is 00:00, also if midnight is skipped.
func (sp Span) clock(t time.Time) (c clockTime) {
	t = t.In(sp.Zone)
	start, _ := store.Day.Period(t, sp.Zone)
	if c.year, c.month, c.day = start.Date(); start.Equal(t) {
		return c
	}
	c.year, c.month, c.day = t.Date()
	h, m, s := t.Clock()
	c.since = time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
	return c
}

// lastClock returns what the clock shows where sp ends, of its last day: 24:00 where the day ends. An hour that comes
// twice ends when the clock has shown it, not when it is set back.
func (sp Span) lastClock() clockTime {
	last := sp.To.Add(-time.Nanosecond)
	start, end := store.Day.Period(last, sp.Zone)
	if end.Equal(sp.To) {
		y, m, d := start.Date()
		return clockTime{y, m, d, 24 * time.Hour}
	}
	c := sp.clock(last)
	c.since += time.Nanosecond
	return c
}

// back returns the same time of day so many months or days earlier. Where the month has no such day it is the end of that month.
func (c clockTime) back(months, days int) clockTime {
	end := time.Date(c.year, c.month-time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC)
	if months > 0 && c.day > end.Day() {
		return clockTime{end.Year(), end.Month(), end.Day(), 24 * time.Hour}
	}
	c.month -= time.Month(months)
	c.day -= days
	return c
}

func (c clockTime) date() time.Time { return time.Date(c.year, c.month, c.day, 0, 0, 0, 0, time.UTC) }

func (c clockTime) instant(zone *time.Location) time.Time {
	return store.Clock(c.year, c.month, c.day, c.since, zone)
}
