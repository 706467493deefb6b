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

const (
	maxSlots     = 320_000             // short periods of all devices that one answer is computed from: a year of three in five minutes
	nightsAtOnce = 30 * 24 * time.Hour // whose hours are in memory
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
		if m.Battery || m.Meter {
			continue
		}
		for from := sp.From; from.Before(sp.To); from = from.Add(nightsAtOnce) {
			err := h.Step(c, func() error {
				some, err := h.Sleeps(c, m.ID, from, query.Earlier(from.Add(nightsAtOnce), sp.To))
				if last := len(all[i]) - 1; last >= 0 && len(some) > 0 && !some[0].From.After(all[i][last].From) {
					some = some[1:] // it began before
				}
				all[i] = append(all[i], some...)
				return err
			})
			if err != nil {
				return nil, err
			}
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

// joint adds to consecutive periods what the members of a site have together at the same time in sp, by the mean powers of slots.
func (h *History) joint(c *request.Request, site *deviceinfo.Site, sp query.Span, slot store.Resolution, asleep sleeps, all []energy.Period) error {
	if len(site.Members) == 1 {
		return nil
	}
	_, sp.To = slot.Period(sp.To, sp.Zone) // the running one as well
	sp.To = query.Earlier(sp.To, all[len(all)-1].End)
	rows := rowFinder{all: all}
	parts := make([]energy.Part, len(site.Members))
	err := h.each(c, site.Members, sp, slot, func(at time.Time, found []*energy.Period) {
		for i, p := range found {
			if p == nil {
				p = &energy.Period{Start: at, End: at.Add(query.LongestPeriod(slot))}
			}
			if asleep.darken(i, p); !p.HasData() {
				return
			}
			parts[i] = energy.Part{Period: p, Meter: site.Members[i].Meter, Battery: site.Members[i].Battery}
		}
		rows.at(at).AddTogether(parts)
	})
	meters := site.Meters()
	if err != nil || len(meters) < 2 || slot == store.Minute {
		return err
	}
	rows.i = 0
	quarters := make([]energy.Quarter, len(meters))
	return h.each(c, meters, sp, store.Quarter, func(at time.Time, found []*energy.Period) {
		for i, p := range found {
			if p == nil {
				return
			}
			quarters[i] = p.FirstQuarter()
		}
		rows.at(at).AddQuarters(quarters)
	})
}

// eachRow calls f with each of the periods that begin at starts, as the members of a site have it: rowsOf returns those of
// one of them.
func (h *History) eachRow(c *request.Request, site *deviceinfo.Site, starts []time.Time, slot store.Resolution, row siteRow, now time.Time,
	rowsOf func(member int, starts []time.Time) ([]energy.Row, error), f func(*siteRow)) error {
	n := len(starts) - 1
	if n < 1 {
		return nil
	}
	if err := h.Weigh(c, n*len(site.Members)); err != nil {
		return err
	}
	asleep, joint := make(sleeps, len(site.Members)), consecutive(starts, nil)
	sp := query.Span{From: starts[0], To: starts[n], Zone: starts[0].Location()}.Until(now)
	if slots := sp.AtLeast(slot) * int64(len(site.Members)); slots <= maxSlots {
		err := h.Weigh(c, int(slots)/10) // each is less than a tenth of a row
		if err == nil {
			asleep, err = h.sleeps(c, site, sp)
		}
		if err == nil {
			err = h.joint(c, site, sp, slot, asleep, joint)
		}
		if err != nil {
			return err
		}
	}
	row.parts, row.joint = make([]*energy.Row, len(site.Members)), new(energy.Row)
	all := make([][]energy.Row, len(site.Members))
	atOnce := max(1, request.RowsAtOnce/len(site.Members))
	for i := 0; i < n; i += atOnce {
		end := min(i+atOnce, n)
		err := h.Step(c, func() (err error) {
			for m := range all {
				if all[m], err = rowsOf(m, starts[i:end+1]); err != nil {
					return err
				}
			}
			for k := range end - i {
				for m := range all {
					row.parts[m] = &all[m][k]
					asleep.darken(m, &all[m][k].Period)
				}
				row.joint.Period = joint[i+k]
				f(&row)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rowFinder finds the rows that times are in, which are ascending.
type rowFinder struct {
	all []energy.Period
	i   int
}

func (f *rowFinder) at(t time.Time) *energy.Rollup {
	for !t.Before(f.all[f.i].End) {
		f.i++
	}
	return &f.all[f.i].Rollup
}
