package vps

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"sunspool/vps/store"
)

// span is what a reader asks about: [from, to), cut by the clocks of zone.
type span struct {
	from, to time.Time
	zone     *time.Location
}

// asked reads the parameters from, to and tz. A date is a whole local day, also in to: from=2026-10-25&to=2026-10-25 is
// that day. An RFC 3339 time is that instant, and to is not part of the span. Without from or to they are zero; frame is
// what will then be filled in, see framed.
func (s *Server) asked(c *call, device string, query url.Values, frame store.Resolution) (sp span, err error) {
	if sp.zone, err = s.zoneOfSpan(c, device, query, frame); err != nil {
		return sp, err
	}
	if sp.from, err = moment(query, "from", sp.zone, 0); err != nil {
		return sp, err
	}
	if sp.to, err = moment(query, "to", sp.zone, 1); err != nil {
		return sp, err
	}
	if !sp.from.IsZero() && !sp.to.IsZero() && !sp.from.Before(sp.to) {
		return sp, invalid("bad_range", "Input should be after from", "query", "to")
	}
	return sp, nil
}

// Years that a question may name. No sample is older, and with some years to spare no date that is computed from one
// needs more than the four digits that JSON and SQL have for a year.
const (
	firstYear = 2010
	lastYear  = 9990
)

// moment returns the time that a parameter names, of a date the first instant so many days ahead; zero without it.
func moment(query url.Values, name string, zone *time.Location, ahead int) (time.Time, error) {
	text := last(query, name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, time.UTC)
	date := err == nil
	if !date {
		// An unescaped + of the zone's offset arrives as a space.
		t, err = time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1))
	}
	if err != nil || t.Year() < firstYear || t.Year() > lastYear {
		return time.Time{}, invalid("datetime_parsing",
			"Input should be a date such as 2026-10-25, or an RFC 3339 time with a zone, of the years 2010 to 9990", "query", name)
	}
	if date {
		t = store.Midnight(t.Year(), t.Month(), t.Day()+ahead, zone)
	}
	return t.In(zone), nil
}

// widened returns sp from the start of the period that from is in to the end of the one that to ends in.
func (sp span) widened(r store.Resolution) span {
	sp.from, _ = r.Period(sp.from, sp.zone)
	start, end := r.Period(sp.to, sp.zone)
	if start.Before(sp.to) {
		sp.to = end
	}
	return sp
}

// until returns sp cut at now.
func (sp span) until(now time.Time) span {
	if sp.to.IsZero() || sp.to.After(now) {
		sp.to = now
	}
	return sp
}

// starts returns where the periods of sp begin, and where the last one ends. More than most of them is a 422 that says
// which resolution to ask for.
func (sp span) starts(r store.Resolution, most int) ([]time.Time, error) {
	if sp.atLeast(r) > int64(most) {
		return nil, tooMany(sp, r, most)
	}
	all := make([]time.Time, 0, max(0, sp.atLeast(r))+2)
	for t := sp.from; t.Before(sp.to); {
		all = append(all, t)
		_, t = r.Period(t, sp.zone)
	}
	if len(all) > most {
		return nil, tooMany(sp, r, most)
	}
	return append(all, sp.to), nil
}

// weighed returns the starts of sp when so many rows may be computed for c.
func (s *Server) weighed(c *call, sp span, r store.Resolution, most int) ([]time.Time, error) {
	if n := sp.atLeast(r); n <= int64(most) {
		if err := s.weigh(c, int(n)); err != nil {
			return nil, err
		}
	}
	return sp.starts(r, most)
}

// atLeast is how many periods of a resolution sp has at least. Go's durations end at 292 years, hence seconds.
func (sp span) atLeast(r store.Resolution) int64 {
	return (sp.to.Unix() - sp.from.Unix()) / int64(longest(r).Seconds())
}

// longest is at least how long the longest period of a resolution is.
func longest(r store.Resolution) time.Duration {
	switch r {
	case store.Minute:
		return time.Minute
	case store.FiveMinutes:
		return 5 * time.Minute
	case store.Quarter:
		return 15 * time.Minute
	case store.Hour:
		return time.Hour
	case store.Day:
		return 25 * time.Hour
	case store.Month:
		return 32 * 24 * time.Hour
	}
	return 367 * 24 * time.Hour
}

// finest are the resolutions from the finest on.
var finest = []store.Resolution{store.Minute, store.FiveMinutes, store.Quarter, store.Hour, store.Day, store.Month, store.Year}

// tooMany refuses a span that is too long for its resolution, and names the finest one that would do.
func tooMany(sp span, r store.Resolution, most int) error {
	coarser := store.Year
	for _, other := range finest {
		if longest(other) > longest(r) && sp.atLeast(other) < int64(most)*9/10 {
			coarser = other
			break
		}
	}
	return tooLong(fmt.Sprintf("at most %d periods", most), coarser)
}

func tooLong(limit string, coarser store.Resolution) *refusal {
	return refuse(422, "too_many_points", fmt.Sprintf("The span is too long for this resolution: %s in one answer.", limit)).
		next(fmt.Sprintf("ask for resolution=%s, or for a shorter span", coarser))
}
