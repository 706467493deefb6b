package history

import (
	"context"
	"sort"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

const (
	// Short periods of all devices that one answer is computed from: three years of three in five minutes, which PostgreSQL
	// reads in some seconds. Beyond slotsInTime each step has the time that a request has with the store for itself.
	maxSlots    = 1_000_000
	slotsInTime = 100_000

	nightsAtOnce = 30 * 24 * time.Hour // whose hours are in memory
	slotsAtOnce  = 4 * 24 * 12         // of one device, in memory
	leastAtOnce  = 31                  // rows of each device, however many there are
)

// chunks calls f for parts of sp with so many periods of a short resolution each, at most: the first one of them begins at base.
func chunks(sp query.Span, r store.Resolution, f func(base time.Time, n int, part query.Span) error) error {
	length := query.LongestPeriod(r)
	base, _ := r.Period(sp.From, sp.Zone)
	for from := sp.From; from.Before(sp.To); from = base {
		part := query.Span{From: from, To: query.Earlier(base.Add(slotsAtOnce*length), sp.To), Zone: sp.Zone}
		if err := f(base, int((part.To.Sub(base)+length-1)/length), part); err != nil {
			return err
		}
		base = base.Add(slotsAtOnce * length)
	}
	return nil
}

// each calls f for every one of n short periods from base, with what a device has of it, nil for nothing. The store is asked once:
// what is asked of a hundred devices an hour at a time takes longer than any request may.
func (h *History) each(c *request.Request, device string, base time.Time, n int, part query.Span, r store.Resolution, f func(k int, at time.Time, p *energy.Period)) error {
	return h.Step(c, func() error {
		found, err := h.Periods(c, store.Query{Device: device, From: part.From, To: part.To, Resolution: r, Zone: part.Zone})
		if err != nil {
			return err
		}
		for k := range n {
			at := base.Add(time.Duration(k) * query.LongestPeriod(r))
			var p *energy.Period
			if len(found) > 0 && !found[0].Start.After(at) {
				p, found = &found[0], found[1:]
			}
			f(k, at, p)
		}
		return nil
	})
}

// digests returns digests of what the members of a site have in sp, and of the days that its nights are compared with.
func (h *History) digests(c *request.Request, site *deviceinfo.Site, sp query.Span) (all []store.Digest, err error) {
	err = h.Step(c, func() error {
		all, err = request.Ask(h.Gate, c, "digests", func(ctx context.Context) ([]store.Digest, error) {
			return h.Store.Digests(ctx, site.IDs(), sp.From.Add(-deviceinfo.NightsAround), sp.To.Add(deviceinfo.NightsAround))
		})
		return err
	})
	return all, err
}

// sleeps has for each member of a site when it slept: a device without a battery that is behind the meter of another one makes
// nothing then, and takes nothing that its house does not take.
type sleeps [][]deviceinfo.Sleep

func (h *History) sleeps(c *request.Request, site *deviceinfo.Site, sp query.Span, digests []store.Digest) (sleeps, error) {
	all := make(sleeps, len(site.Members))
	for i, m := range site.Members {
		if m.Battery || m.Meter {
			continue
		}
		for from := sp.From; from.Before(sp.To); from = from.Add(nightsAtOnce) {
			err := h.Step(c, func() error {
				some, err := h.Sleeps(c, m.ID, from, query.Earlier(from.Add(nightsAtOnce), sp.To), &digests[i])
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

// joinSlots adds to consecutive periods what the members have together in each slot of sp.
func (h *History) joinSlots(c *request.Request, site *deviceinfo.Site, sp query.Span, slot store.Resolution, asleep sleeps, all []energy.Period) error {
	rows := rowFinder{all: all}
	err := chunks(sp, slot, func(base time.Time, n int, part query.Span) error {
		sums := make([]struct {
			energy.Together
			any bool
		}, n)
		for i, m := range site.Members {
			err := h.each(c, m.ID, base, n, part, slot, func(k int, at time.Time, p *energy.Period) {
				sums[k].any = sums[k].any || p != nil
				if p == nil {
					p = &energy.Period{Start: at, End: at.Add(query.LongestPeriod(slot))}
				}
				if asleep.darken(i, p); p.HasData() {
					sums[k].Add(energy.Part{Period: p, Meter: m.Meter, Battery: m.Battery})
				}
			})
			if err != nil {
				return err
			}
		}
		for k := range sums {
			if s := &sums[k]; s.any && s.Parts == len(site.Members) {
				rows.at(base.Add(time.Duration(k) * query.LongestPeriod(slot))).AddTogether(&s.Together)
			}
		}
		return nil
	})
	meters := site.Meters()
	if err != nil || len(meters) < 2 || slot == store.Minute {
		return err
	}
	rows.i = 0
	return chunks(sp, store.Quarter, func(base time.Time, n int, part query.Span) error {
		sums := make([]energy.Quarters, n)
		for _, m := range meters {
			err := h.each(c, m.ID, base, n, part, store.Quarter, func(k int, _ time.Time, p *energy.Period) {
				if p != nil {
					sums[k].Add(p.FirstQuarter())
				}
			})
			if err != nil {
				return err
			}
		}
		for k := range sums {
			if s := &sums[k]; s.Parts == len(meters) {
				rows.at(query.Later(base.Add(time.Duration(k)*query.LongestPeriod(store.Quarter)), sp.From)).AddQuarters(s)
			}
		}
		return nil
	})
}

// eachRow calls f with each of the periods that begin at starts, as the members of a site have it: rowsOf returns those of
// each of them. Without a slot only what adds up of them is to be asked of a row, and the load.
func (h *History) eachRow(c *request.Request, site *deviceinfo.Site, starts []time.Time, slot store.Resolution, row siteRow, now time.Time,
	rowsOf func(starts []time.Time, digests []store.Digest) ([][]energy.Row, error), f func(*siteRow)) error {
	n := len(starts) - 1
	if n < 1 {
		return nil
	}
	if err := h.Weigh(c, n*len(site.Members)); err != nil {
		return err
	}
	asleep, joint := make(sleeps, len(site.Members)), consecutive(starts, nil)
	sp := query.Span{From: starts[0], To: starts[n], Zone: starts[0].Location()}.Until(now)
	var slots int64
	var digests []store.Digest
	if slot != "" {
		slots = sp.AtLeast(slot) * int64(len(site.Members))
	}
	if slots <= maxSlots {
		err := h.Weigh(c, int(slots)/10) // each is less than a tenth of a row
		c.Turns = c.Turns || slots > slotsInTime
		if err == nil {
			digests, err = h.digests(c, site, sp)
		}
		if err == nil {
			asleep, err = h.sleeps(c, site, sp, digests)
		}
		if err == nil && slot != "" {
			err = h.joint(c, site, sp, slot, asleep, digests, joint)
		}
		if err != nil {
			return err
		}
	}
	row.parts, row.joint = make([]*energy.Row, len(site.Members)), new(energy.Row)
	atOnce := max(leastAtOnce, request.RowsAtOnce/len(site.Members))
	for i := 0; i < n; i += atOnce {
		end := min(i+atOnce, n)
		err := h.Step(c, func() error {
			all, err := rowsOf(starts[i:end+1], digests)
			if err != nil {
				return err
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
