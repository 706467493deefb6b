package history

import (
	"hash/maphash"
	"sort"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// joint adds to consecutive periods what the members of a site have together at the same time in sp, by the mean powers of slots.
func (h *History) joint(c *request.Request, site *deviceinfo.Site, sp query.Span, slot store.Resolution, asleep sleeps, digests []store.Digest, all []energy.Period) error {
	if len(site.Members) == 1 {
		return nil
	}
	_, sp.To = slot.Period(sp.To, sp.Zone) // the running one as well
	sp.To = query.Earlier(sp.To, all[len(all)-1].End)
	keys := jointKeys(site, sp, slot, asleep, digests, all)
	for i := 0; i < len(all) && all[i].Start.Before(sp.To); {
		if known, ok := h.joints.Get(keys[i]); ok {
			all[i].Rollup = known
			i++
			continue
		}
		first := i
		for i++; i < len(all); i++ {
			if _, ok := h.joints.Get(keys[i]); ok {
				break
			}
		}
		part := query.Span{From: all[first].Start, To: query.Earlier(all[i-1].End, sp.To), Zone: sp.Zone}
		if err := h.joinSlots(c, site, part, slot, asleep, all[first:i]); err != nil {
			return err
		}
		for k := first; k < i; k++ {
			h.joints.Put(keys[k], all[k].Rollup)
		}
	}
	return nil
}

// leastKept is the shortest period of which it is kept what the members of a site have together: those of a day are many slots.
const leastKept = 23 * time.Hour

// What is read beside a time for the mean powers of short periods in it: whole hours.
const readBeside = 2 * time.Hour

// jointKeys returns for each period by which key it is kept what the members have together, 0 where it is not. Digests are of
// more than all periods, one of each member.
func jointKeys(site *deviceinfo.Site, sp query.Span, slot store.Resolution, asleep sleeps, digests []store.Digest, all []energy.Period) []uint64 {
	keys := make([]uint64, len(all))
	kept := func(p *energy.Period) bool {
		return slot == store.FiveMinutes && p.End.Sub(p.Start) >= leastKept && !p.End.After(sp.To) && onQuarter(p.Start) && onQuarter(p.End)
	}
	for i := range all {
		p := &all[i]
		if !kept(p) {
			continue
		}
		hash, settled := store.NewHash(), true
		store.AddWords(hash, p.Start.UnixMilli(), p.End.UnixMilli())
		for m := range site.Members {
			addMember(hash, &site.Members[m])
			settled = digests[m].AddTo(hash, p.Start.Add(-readBeside).UnixMilli(), p.End.Add(readBeside).UnixMilli()) && settled
			asleep.addTo(hash, m, p)
		}
		if settled {
			keys[i] = store.KeyOf(hash)
		}
	}
	return keys
}

// onQuarter reports whether a quarter-hour begins at t: none is in two periods then.
func onQuarter(t time.Time) bool { return t.Equal(t.Truncate(query.LongestPeriod(store.Quarter))) }

// addMember adds to a hash what of a member makes a difference.
func addMember(h *maphash.Hash, m *deviceinfo.Member) {
	var flags byte
	if m.Meter {
		flags |= 1
	}
	if m.Battery {
		flags |= 2
	}
	store.AddWords(h, int64(len(m.ID)))
	h.WriteString(m.ID)
	h.WriteByte(flags)
}

// addTo adds to a hash when a member slept in p.
func (all sleeps) addTo(h *maphash.Hash, member int, p *energy.Period) {
	some := all[member]
	i := sort.Search(len(some), func(i int) bool { return some[i].To.After(p.Start) })
	for ; i < len(some) && some[i].From.Before(p.End); i++ {
		store.AddWords(h, max(some[i].From.UnixMilli(), p.Start.UnixMilli()), min(some[i].To.UnixMilli(), p.End.UnixMilli()))
	}
	store.AddWords(h, 0)
}
