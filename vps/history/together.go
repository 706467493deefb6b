package history

import (
	"sort"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// What depends on the powers of several devices at one time is computed from means of five minutes.
const (
	slot     = store.FiveMinutes
	maxSlots = 320_000 // of all devices in one answer: a year of three
)

// each calls f for every period of sp of which one of the members has data, with those of the members, nil for those without.
// Periods are ascending.
func (h *History) each(c *request.Request, members []deviceinfo.Member, sp query.Span, r store.Resolution, f func(at time.Time, parts []*energy.Period)) error {
	atOnce := time.Duration(max(1, request.RowsAtOnce/len(members)))
	for from := sp.From; from.Before(sp.To); {
		to := query.Earlier(from.Add(atOnce*query.LongestPeriod(r)), sp.To)
		err := h.Step(c, func() error {
			all := make([][]energy.Period, len(members))
			for i, m := range members {
				found, err := h.Periods(c, store.Query{Device: m.ID, From: from, To: to, Resolution: r, Zone: sp.Zone})
				if err != nil {
					return err
				}
				all[i] = found
			}
			for {
				at, parts := next(all)
				if parts == nil {
					return nil
				}
				f(at, parts)
			}
		})
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

// next takes the periods that begin first.
func next(all [][]energy.Period) (at time.Time, parts []*energy.Period) {
	for _, some := range all {
		if len(some) > 0 && (at.IsZero() || some[0].Start.Before(at)) {
			at = some[0].Start
		}
	}
	if at.IsZero() {
		return at, nil
	}
	parts = make([]*energy.Period, len(all))
	for i, some := range all {
		if len(some) > 0 && some[0].Start.Equal(at) {
			parts[i], all[i] = &some[0], some[1:]
		}
	}
	return at, parts
}

// sleeps has for each member of a site when it slept: a device without a battery that is behind the meter of another one makes
// nothing then, and takes nothing that its house does not take.
type sleeps [][]deviceinfo.Sleep

func (h *History) sleeps(c *request.Request, site *deviceinfo.Site, sp query.Span) (sleeps, error) {
	all := make(sleeps, len(site.Members))
	for i, m := range site.Members {
		if m.Battery || m.Meter || !sp.From.Before(sp.To) {
			continue
		}
		err := h.Step(c, func() (err error) {
			all[i], err = h.Sleeps(c, m.ID, sp.From, sp.To)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// darken adds to a period of a member when it slept.
func (all sleeps) darken(member int, p *energy.Period) {
	some := all[member]
	for i := sort.Search(len(some), func(i int) bool { return some[i].To.After(p.Start) }); i < len(some) && some[i].From.Before(p.End); i++ {
		p.AddDark(some[i].From, some[i].To)
	}
}

// joint returns of the periods that begin at starts, the last of which is the end of them all, what the members of a site
// have together at the same time; nil if that is too much.
func (h *History) joint(c *request.Request, site *deviceinfo.Site, starts []time.Time, asleep sleeps, now time.Time) ([]energy.Period, error) {
	sp := query.Span{From: starts[0], To: starts[len(starts)-1], Zone: starts[0].Location()}.Until(now)
	slots := sp.AtLeast(slot) * int64(len(site.Members))
	if slots > maxSlots {
		return nil, nil
	}
	if err := h.Weigh(c, int(slots)/10); err != nil { // each is less than a tenth of a row
		return nil, err
	}
	all := consecutive(starts, nil)
	row := 0
	rowOf := func(at time.Time) *energy.Rollup {
		for !at.Before(all[row].End) {
			row++
		}
		return &all[row].Rollup
	}
	sp.To = sp.To.Truncate(energy.Base).Add(energy.Base) // the running one as well
	sp.To = query.Earlier(sp.To, starts[len(starts)-1])
	err := h.each(c, site.Members, sp, slot, func(at time.Time, found []*energy.Period) {
		parts := make([]energy.Part, len(found))
		for i, p := range found {
			if p == nil {
				p = &energy.Period{Start: at, End: at.Add(energy.Base)}
			}
			asleep.darken(i, p)
			if !p.HasData() {
				return
			}
			parts[i] = energy.Part{Period: p, Meter: site.Members[i].Meter, Battery: site.Members[i].Battery}
		}
		rowOf(at).AddTogether(parts)
	})
	meters := site.Meters()
	if err != nil || len(meters) < 2 {
		return all, err
	}
	row = 0
	err = h.each(c, meters, sp, store.Quarter, func(at time.Time, found []*energy.Period) {
		parts := make([]energy.Quarter, len(found))
		for i, p := range found {
			if p == nil {
				return
			}
			parts[i] = p.FirstQuarter()
		}
		rowOf(at).AddQuarters(parts)
	})
	return all, err
}
