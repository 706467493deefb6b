package history

import (
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// What may be read beside a day or a longer period: a rollup of a day.
const readBesideDays = 26 * time.Hour

// closedPeriods returns the consecutive periods of q that begin at starts, the last of which is the end of them all, and whether
// the last of them with samples is not over. Those that are over are kept, if they are of days and longer, and not read again
// while their digest, which may be nil, is the same.
func (h *History) closedPeriods(c *request.Request, q store.Query, starts []time.Time, now time.Time, digest *store.Digest) (all []energy.Period, partial bool, err error) {
	all = consecutive(starts, nil)
	keys := make([]uint64, len(all))
	first, end := len(all), 0 // of those that are not known
	for i := range all {
		keys[i] = closedKey(q.Device, &all[i], now, digest)
		known, ok := h.periods.Get(keys[i])
		if ok {
			all[i].Rollup = known
			continue
		}
		first, end = min(first, i), i+1
	}
	if first >= end {
		return all, false, nil
	}
	q.From, q.To = starts[first], starts[end]
	found, err := h.Periods(c, q)
	if err != nil {
		return nil, false, err
	}
	if last := len(found) - 1; last >= 0 {
		partial = found[last].End.After(now)
	}
	copy(all[first:end], consecutive(starts[first:end+1], found))
	for i := first; i < end; i++ {
		h.periods.Put(keys[i], all[i].Rollup)
	}
	return all, partial, nil
}

// closedKey returns by which key the rollup of a period is kept, 0 where it is not.
func closedKey(device string, p *energy.Period, now time.Time, digest *store.Digest) uint64 {
	if digest == nil || p.End.Sub(p.Start) < leastKept || p.End.After(now) {
		return 0
	}
	hash := store.NewHash()
	hash.WriteString(device)
	store.AddWords(hash, p.Start.UnixMilli(), p.End.UnixMilli())
	if !digest.AddTo(hash, p.Start.Add(-readBesideDays).UnixMilli(), p.End.Add(readBesideDays).UnixMilli()) {
		return 0
	}
	return store.KeyOf(hash)
}

// digestOf returns one of several, nil if there are none.
func digestOf(digests []store.Digest, i int) *store.Digest {
	if digests == nil {
		return nil
	}
	return &digests[i]
}
