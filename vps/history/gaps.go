package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	MinGap   = 10 * time.Minute // shorter ones are not listed: only one this long must leave five minutes empty
	MaxGaps  = 1000             // in one answer
	maxLooks = 20               // queries of the level below, for one level
)

// GapsAnswer is the answer of GET /v1/continuity.
type GapsAnswer struct {
	DeviceID  string     `json:"device_id"`
	From      time.Time  `json:"from"`
	To        time.Time  `json:"to"` // now at the latest
	Rows      int64      `json:"rows"`
	First     *time.Time `json:"first"` // sample in the span
	Last      *time.Time `json:"last"`
	Coverage  float64    `json:"coverage"`
	Gaps      []Gap      `json:"holes"` // ascending; the newest ones when there are too many
	GapsTotal int        `json:"holes_total"`
	MissingS  int64      `json:"missing_s"` // in all gaps that are not before the first sample, and not asleep as far as they are listed
	Complete  bool       `json:"complete"`  // there is no such gap
}

// Gap is a time of at least MinGap for which there is no sample.
type Gap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds int64     `json:"seconds"`
	Open    bool      `json:"open"` // it lasts
	Reason  string    `json:"reason"`
	Says    string    `json:"says"`
}

// The reasons of a gap. A server cannot know why it received nothing; the text of each names the evidence.
const (
	beforeFirst = "before_first"
	asleep      = "asleep"
	waiting     = "waiting"
	notReceived = "not_received"
)

func (h *History) Gaps(c *request.Request) (any, error) {
	params, device, err := request.Readable(c, "device_id")
	if err != nil {
		return nil, err
	}
	sp, err := h.parseRange(c, device, params, store.Day)
	if err != nil {
		return nil, err
	}
	if sp, err = h.withDefaults(c, sp, store.Day, device); err != nil {
		return nil, err
	}
	now := h.Now().Truncate(time.Millisecond)
	if sp = sp.Until(now); sp.To.Sub(sp.From) > 400*24*time.Hour {
		return nil, problem.New(422, "too_long", "The span is too long: at most 400 days in one answer.").WithNext("ask for one year after the other")
	}
	answer := GapsAnswer{DeviceID: device, From: sp.From.UTC(), To: sp.To.UTC(), Gaps: []Gap{}}
	if !sp.From.Before(sp.To) { // it is in the future
		answer.To = answer.From
		return answer, nil
	}
	if err := h.Weigh(c, maxPoints); err != nil {
		return nil, err
	}
	search := gapSearch{history: h, c: c, device: device}
	days, err := search.in(0, sp.From, sp.To)
	if err != nil {
		return nil, err
	}
	gaps := search.ends(days, sp)
	if err := search.explain(gaps, now); err != nil {
		return nil, err
	}
	answer.count(days, gaps, now)
	return answer, nil
}

func (a *GapsAnswer) count(days []energy.Period, gaps []Gap, now time.Time) {
	total := energy.Period{Start: a.From, End: a.To}
	for i := range days {
		total.Rows += days[i].Rows
		total.Covered[energy.KnowsPV] += days[i].Covered[energy.KnowsPV]
	}
	days = slices.DeleteFunc(days, func(p energy.Period) bool { return p.Rows == 0 })
	if len(days) > 0 {
		a.First = new(time.UnixMilli(days[0].First).UTC())
		a.Last = new(time.UnixMilli(days[len(days)-1].Last).UTC())
	}
	a.Rows, a.Coverage = total.Rows, round(total.Coverage(energy.KnowsPV, now), 4)
	a.GapsTotal, a.Complete = len(gaps), true
	for _, h := range gaps {
		if h.Reason != asleep && h.Reason != beforeFirst {
			a.MissingS += h.Seconds
			a.Complete = false
		}
	}
	a.Gaps = append(a.Gaps, gaps[max(0, len(gaps)-MaxGaps):]...)
}

// gapSearch finds gaps by the rollups alone: days first, then the hours of days that may hide one, then the five
// minutes of such hours. What is covered costs nothing, however many samples it has.
type gapSearch struct {
	history *History
	c       *request.Request
	device  string
	found   []Gap
	nights  *deviceinfo.Nights // read when the first gap may be one
}

var searchLevels = []store.Resolution{store.Day, store.Hour, store.FiveMinutes}

// in finds the gaps between the samples of [from, to), and returns the periods of that level.
func (h *gapSearch) in(level int, from, to time.Time) ([]energy.Period, error) {
	var periods []energy.Period
	err := h.history.Step(h.c, func() (err error) {
		periods, err = h.history.Periods(h.c, store.Query{Device: h.device, From: from, To: to, Resolution: searchLevels[level]})
		return err
	})
	if err != nil {
		return nil, err
	}
	all := periods
	periods = slices.DeleteFunc(slices.Clone(periods), func(p energy.Period) bool { return p.Rows == 0 })
	var looks []look
	if level+1 < len(searchLevels) {
		looks = looksInto(periods)
	}
	for i := 0; i < len(periods); {
		j := i + 1
		if len(looks) > 0 && looks[0].first == i {
			j, looks = looks[0].end, looks[1:]
			if _, err := h.in(level+1, query.Later(periods[i].Start, from), query.Earlier(periods[j-1].End, to)); err != nil {
				return nil, err
			}
		}
		if j < len(periods) && !periods[j-1].Adjoins(&periods[j].Rollup) {
			h.add(time.UnixMilli(periods[j-1].Last), time.UnixMilli(periods[j].First))
		}
		i = j
	}
	return all, nil
}

// look is the periods [first, end) that one query reads.
type look struct{ first, end int }

// looksInto returns where there may be gaps inside of periods: those that may hide one, neighbours together. Of very many,
// the periods between are read, too: a query costs as much as many rows.
func looksInto(periods []energy.Period) (looks []look) {
	for i := range periods {
		if !mayHide(&periods[i]) {
			continue
		}
		if n := len(looks) - 1; n >= 0 && looks[n].end == i && periods[i].Start.Equal(periods[i-1].End) {
			looks[n].end = i + 1
			continue
		}
		looks = append(looks, look{i, i + 1})
	}
	if len(looks) <= maxLooks {
		return looks
	}
	together := looks[:0]
	for some := range slices.Chunk(slices.Clone(looks), (len(looks)+maxLooks-1)/maxLooks) {
		together = append(together, look{some[0].first, some[len(some)-1].end})
	}
	return together
}

// mayHide reports whether there may be a gap between two samples of p. A gap leaves at least a third of itself uncovered;
// before its first sample and after its last one p may be covered by samples that cover nothing inside.
func mayHide(p *energy.Period) bool {
	if p.Last-p.First < MinGap.Milliseconds() {
		return false
	}
	outside := min(p.First-p.Start.UnixMilli(), energy.MaxReach) + min(p.End.UnixMilli()-p.Last, energy.MaxReach)
	return p.Last-p.First-p.Covered[energy.KnowsPV]+outside >= MinGap.Milliseconds()/3
}

func (h *gapSearch) add(from, to time.Time) {
	if length := to.Sub(from); length >= MinGap {
		h.found = append(h.found, Gap{From: from.UTC(), To: to.UTC(), Seconds: int64(length.Seconds()), Reason: notReceived})
	}
}

// ends adds the gaps at the ends of the span and returns all, ascending.
func (h *gapSearch) ends(days []energy.Period, sp query.Span) []Gap {
	days = slices.DeleteFunc(slices.Clone(days), func(p energy.Period) bool { return p.Rows == 0 })
	if len(days) == 0 {
		h.add(sp.From, sp.To)
	} else {
		first, last := &days[0], &days[len(days)-1]
		if before := time.UnixMilli(first.First); !first.Reaches(before.Sub(sp.From)) {
			h.add(sp.From, before)
		}
		if after := time.UnixMilli(last.Last); !last.Reaches(sp.To.Sub(after)) {
			h.add(after, sp.To)
		}
	}
	slices.SortStableFunc(h.found, func(a, b Gap) int { return a.From.Compare(b.From) })
	return h.found
}

// explain sets the reason of each gap. Whether the device slept is determined only for those that are listed: it costs a
// query of the samples for each.
func (h *gapSearch) explain(gaps []Gap, now time.Time) error {
	if len(gaps) == 0 {
		return nil
	}
	first, end, err := h.history.Extent(h.c, h.device, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	about, err := h.history.About(h.c, h.device)
	if err != nil {
		return err
	}
	waits := waitingTime(about.Edge)
	for i := len(gaps) - 1; i >= 0; i-- {
		x := &gaps[i]
		x.Open = !x.To.Before(now) && !end.After(x.From)
		if first.IsZero() || !x.To.After(first) {
			x.Reason, x.Says = beforeFirst, "nothing was ever received from before this gap's end"
			continue
		}
		if waits >= MinGap {
			x.Reason = waiting
			x.Says = fmt.Sprintf("the edge reported at %s that it still holds %d samples: those of this gap may be among them",
				about.Seen.UTC().Format(time.RFC3339), about.Edge.SpoolCount)
			waits -= x.To.Sub(x.From)
			continue
		}
		slept := false
		if i >= len(gaps)-MaxGaps {
			if slept, err = h.slept(x); err != nil {
				return err
			}
		}
		if slept {
			x.Reason, x.Says = asleep, fmt.Sprintf("PV had ended (at most %d W), no battery keeps the inverter on, and its other nights are silent: it probably slept", deviceinfo.DarkW)
			continue
		}
		x.Says = "nothing was received: the inverter, the edge or its network was away; what arrives later closes the gap"
	}
	return nil
}

// waitingTime returns the time that is covered by the samples that still wait in the edge's spool.
func waitingTime(edge *wire.Edge) time.Duration {
	if edge == nil {
		return 0
	}
	seconds := float64(edge.SpoolCount) * cmp.Or(edge.PollIntervalS, 5)
	return time.Duration(min(seconds, math.MaxInt32)) * time.Second
}

// slept reports whether the device slept in a gap.
func (h *gapSearch) slept(x *Gap) (slept bool, err error) {
	if x.To.Sub(x.From) > deviceinfo.LongestNight {
		return false, nil
	}
	if h.nights == nil {
		n, err := h.history.NightsOf(h.c, h.device, h.found[max(0, len(h.found)-MaxGaps)].From, h.found[len(h.found)-1].To, nil)
		if err != nil {
			return false, err
		}
		h.nights = &n
	}
	return h.history.Slept(h.c, h.device, *h.nights, x.From, x.To)
}

// explain marks the spans in which the device slept, as Gaps does.
func (h *History) explain(c *request.Request, device string, gaps []EmptySpan) error {
	var known *deviceinfo.Nights
	for i := range gaps {
		from, to := time.Unix(gaps[i].From, 0), time.Unix(gaps[i].To, 0)
		if to.Sub(from) > deviceinfo.LongestNight {
			continue
		}
		if known == nil {
			n, err := h.NightsOf(c, device, from, time.Unix(gaps[len(gaps)-1].To, 0), nil)
			if err != nil {
				return err
			}
			known = &n
		}
		slept, err := h.Slept(c, device, *known, from, to)
		if err != nil {
			return err
		}
		if slept {
			gaps[i].Reason = asleep
		}
	}
	return nil
}
