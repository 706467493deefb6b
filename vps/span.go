package vps

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sunspool/vps/store"
)

// span is what a reader asks about: [from, to), cut by the clocks of zone.
type span struct {
	from, to time.Time
	zone     *time.Location
}

// Years that a question may name. No sample is older, and with some years to spare no date that is computed from one
// needs more than the four digits that JSON and SQL have for a year.
const (
	firstYear = 2010
	lastYear  = 9990
)

// moment returns the time that a parameter names, of a date the first instant so many days ahead; zero without it.
func moment(params url.Values, name string, zone *time.Location, ahead int) (time.Time, error) {
	text := last(params, name)
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

// last returns the value of a parameter, the last one of several: that is how the contract's first server read them.
func last(params url.Values, name string) string {
	if all := params[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// chosen returns the names of a list that a reader asked for, in a parameter of names separated by commas; all
// that are offered by default when it asked for none.
func chosen(asked string, offered, byDefault []string) ([]string, error) {
	if asked == "" {
		return byDefault, nil
	}
	names := strings.Split(asked, ",")
	for _, name := range names {
		if !slices.Contains(offered, name) {
			return nil, invalid("columns", "Input should be of "+strings.Join(offered, ","), "query", "columns")
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func laterTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
