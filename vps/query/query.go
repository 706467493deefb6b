// Package query is the grammar of questions: which span of time, in which zone, cut into which periods, and which columns.
//
//	from=2026-10-25&to=2026-10-25&resolution=1h ──> Moment ──> Span ──> AlignTo ──> PeriodStarts
//	compare=last_year ──> Span.ComparedWith
package query

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/store"
)

// Span is what a reader asks about: [From, To), cut by the clocks of Zone.
type Span struct {
	From, To time.Time
	Zone     *time.Location
}

// Years that a question may name. No sample is older, and with some years to spare no date that is computed from one
// needs more than the four digits that JSON and SQL have for a year.
const (
	FirstYear = 2010
	LastYear  = 9990
)

// Moment returns the time that a parameter names, of a date the first instant so many days ahead; zero without it.
func Moment(params url.Values, name string, zone *time.Location, ahead int) (time.Time, error) {
	text := Last(params, name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, time.UTC)
	date := err == nil
	if !date {
		// An unescaped + of the zone's offset arrives as a space.
		t, err = time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1))
	}
	if err != nil || t.Year() < FirstYear || t.Year() > LastYear {
		return time.Time{}, problem.Invalid("datetime_parsing",
			"Input should be a date such as 2026-10-25, or an RFC 3339 time with a zone, of the years 2010 to 9990", "query", name)
	}
	if date {
		t = store.Midnight(t.Year(), t.Month(), t.Day()+ahead, zone)
	}
	return t.In(zone), nil
}

// AlignTo returns sp from the start of the period that from is in to the end of the one that to ends in.
func (sp Span) AlignTo(r store.Resolution) Span {
	sp.From, _ = r.Period(sp.From, sp.Zone)
	start, end := r.Period(sp.To, sp.Zone)
	if start.Before(sp.To) {
		sp.To = end
	}
	return sp
}

// Until returns sp cut at now.
func (sp Span) Until(now time.Time) Span {
	if sp.To.IsZero() || sp.To.After(now) {
		sp.To = now
	}
	return sp
}

// PeriodStarts returns where the periods of sp begin, and where the last one ends. More than most of them is a 422 that names
// the resolution to ask for.
func (sp Span) PeriodStarts(r store.Resolution, most int) ([]time.Time, error) {
	if sp.AtLeast(r) > int64(most) {
		return nil, tooMany(sp, r, most)
	}
	all := make([]time.Time, 0, max(0, sp.AtLeast(r))+2)
	for t := sp.From; t.Before(sp.To); {
		all = append(all, t)
		_, t = r.Period(t, sp.Zone)
	}
	if len(all) > most {
		return nil, tooMany(sp, r, most)
	}
	return append(all, sp.To), nil
}

// AtLeast is how many periods of a resolution sp has at least. Go's durations end at 292 years, hence seconds.
func (sp Span) AtLeast(r store.Resolution) int64 {
	return (sp.To.Unix() - sp.From.Unix()) / int64(LongestPeriod(r).Seconds())
}

// LongestPeriod is at least how long the longest period of a resolution is.
func LongestPeriod(r store.Resolution) time.Duration {
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

// Resolutions are all that a store has, the finest first.
var Resolutions = []store.Resolution{store.Minute, store.FiveMinutes, store.Quarter, store.Hour, store.Day, store.Month, store.Year}

// tooMany refuses a span that is too long for its resolution, and names the finest one that would do.
func tooMany(sp Span, r store.Resolution, most int) error {
	coarser := store.Year
	for _, other := range Resolutions {
		if LongestPeriod(other) > LongestPeriod(r) && sp.AtLeast(other) < int64(most)*9/10 {
			coarser = other
			break
		}
	}
	return TooLong(fmt.Sprintf("at most %d periods", most), coarser)
}

// TooLong refuses a span: limit is what there may be, coarser the resolution to ask for.
func TooLong(limit string, coarser store.Resolution) *problem.Refusal {
	return problem.New(422, "too_many_points", fmt.Sprintf("The span is too long for this resolution: %s in one answer.", limit)).
		WithNext(fmt.Sprintf("ask for resolution=%s, or for a shorter span", coarser))
}

// Last returns the value of a parameter, the last one of several: that is how the Python server reads them.
func Last(params url.Values, name string) string {
	if all := params[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// Columns returns the names of a list that a reader asked for, in a parameter of names separated by commas; all
// that are offered by default when it asked for none.
func Columns(asked string, offered, byDefault []string) ([]string, error) {
	if asked == "" {
		return byDefault, nil
	}
	names := strings.Split(asked, ",")
	for _, name := range names {
		if !slices.Contains(offered, name) {
			return nil, problem.Invalid("columns", "Input should be of "+strings.Join(offered, ","), "query", "columns")
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Earlier returns the earlier of two times.
func Earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
