package bolt

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// changes are the base rows of a device that a transaction changes, by their start.
type changes map[int64]*change

// change is what must be done with the rollup of a base row. Without new rows it is written already, and only those
// above it are to be computed.
type change struct {
	rows      []row // new, in the order of arrival
	recompute bool  // the rollup is to be computed from all stored samples
}

func (c changes) at(start int64) *change {
	if c[start] == nil {
		c[start] = &change{}
	}
	return c[start]
}

// rows returns how many are new.
func (c changes) rows() (n int) {
	for _, change := range c {
		n += len(change.rows)
	}
	return n
}

// known returns the number and the times of the samples that the rollup of a row counts.
func (d device) known(level int, start int64) (p energy.Pending, pending, ok bool) {
	k := key(start)
	payload, ok := unseal(k, d.levels[level].Get(k))
	if !ok {
		return p, false, false
	}
	return rollup.Known(payload)
}

// tooDense returns which rows of w are too many in their base rows. Most are in one that has room for all.
func (d device) tooDense(w *write, all changes) (indexes []int) {
	in := map[int64]int64{}
	for _, r := range w.rows {
		in[rollup.StartOf(rollup.BaseLevel, r.ms)]++
	}
	stored := func(base int64) int64 {
		p, _, _ := d.known(rollup.BaseLevel, base)
		if c := all[base]; c != nil {
			p.Rows += int64(len(c.rows))
		}
		return p.Rows
	}
	full := false
	for base, n := range in {
		full = full || stored(base)+n > store.MostInSpan
	}
	if !full {
		return nil
	}
	indexes = rollup.Dense(func(yield func(int, int64) bool) {
		seen := map[int64]bool{}
		for i, r := range w.rows {
			if !seen[r.ms] && !d.has(r.ms) && !yield(i, r.ms) {
				return
			}
			seen[r.ms] = true
		}
	}, stored)
	return rollup.WithRepeated(indexes, len(w.rows), func(i int) int64 { return w.rows[i].ms })
}

// has reports whether a sample of that time is stored, or was and is pruned.
func (d device) has(ms int64) bool {
	if base := rollup.StartOf(rollup.BaseLevel, ms); base < d.pruned() && d.lostSamples(base) {
		p, _, _ := d.known(rollup.BaseLevel, base)
		return ms >= p.First && ms <= p.Last
	}
	return d.levels[rollup.SamplesLevel].Get(key(ms)) != nil
}

// deriveAll computes the rollups of the base rows that changed, and those above them. A base row whose new samples are all
// later than what it has takes them as they are. The others are computed from all their samples while there is room for
// that, the smallest first; the rest become pending.
func (d device) deriveAll(all changes, room int64) error {
	type recount struct {
		start   int64
		pending energy.Pending
	}
	var late []recount
	for _, start := range slices.Sorted(maps.Keys(all)) {
		c := all[start]
		if len(c.rows) == 0 && !c.recompute {
			continue
		}
		slices.SortFunc(c.rows, func(a, b row) int { return cmp.Compare(a.ms, b.ms) })
		p, taken, err := d.append(start, c)
		if err != nil {
			return err
		}
		if !taken {
			late = append(late, recount{start, p})
		}
	}
	slices.SortStableFunc(late, func(a, b recount) int { return cmp.Compare(a.pending.Rows, b.pending.Rows) })
	for _, r := range late {
		if room -= r.pending.Rows; room >= 0 || r.pending.Rows == 0 {
			if err := d.derive(rollup.BaseLevel, r.start); err != nil {
				return err
			}
			continue
		}
		k := key(r.start)
		if err := d.levels[rollup.BaseLevel].Put(k, seal(k, r.pending.Append(nil))); err != nil {
			return err
		}
	}
	return d.sumUp(all)
}

// append adds the new rows to the rollup of their base row, if that is possible. If it is not, p is what a pending one has,
// or zero if the rollup must be computed now because that is not known.
func (d device) append(start int64, c *change) (p energy.Pending, taken bool, err error) {
	k := key(start)
	v := d.levels[rollup.BaseLevel].Get(k)
	payload, whole := unseal(k, v)
	if c.recompute || !whole {
		return p, false, nil
	}
	p, pending := energy.ReadPending(payload)
	var r energy.Rollup
	if !pending {
		if !r.Read(payload) {
			return p, false, nil
		}
		p = r.Pending()
	}
	if pending || r.Old || c.rows[0].ms <= r.Last {
		p.Add(energy.Pending{Rows: int64(len(c.rows)), First: c.rows[0].ms, Last: c.rows[len(c.rows)-1].ms})
		return p, false, nil
	}
	for _, row := range c.rows {
		var s wire.Sample
		if err := s.UnpackFields(row.value[:len(row.value)-checksumSize]); err != nil {
			return p, false, err
		}
		s.Time = rollup.FromMS(row.ms)
		r.Add(&s)
	}
	return p, true, d.putRollup(rollup.BaseLevel, start, &r)
}

// sumUp computes the rows above the base rows that changed.
func (d device) sumUp(all changes) error {
	touched := slices.Sorted(maps.Keys(all))
	for level := rollup.HourLevel; level < rollup.Levels; level++ {
		for i := range touched {
			touched[i] = rollup.StartOf(level, touched[i])
		}
		touched = slices.Compact(touched)
		for _, start := range touched {
			if err := d.sum(level, start); err != nil {
				return err
			}
		}
	}
	return nil
}

// sum computes a row from those below it. It is pending if one of them is.
func (d device) sum(level int, start int64) error {
	var sum energy.Sum
	var total energy.Pending
	var r energy.Rollup
	pending := false
	c := d.levels[level-1].Cursor()
	for k, v := c.Seek(key(start)); k != nil && ms(k) < start+rollup.Spans[level]; k, v = c.Next() {
		p, is := pendingIn(k, v)
		if pending = pending || is; is {
			if level == rollup.HourLevel {
				d.store.stillPending = append(d.store.stillPending, rollup.SpanKey{Device: d.name, Start: ms(k)})
			}
			total.Add(p)
			continue
		}
		d.read(&r, level-1, k, v)
		total.Add(r.Pending())
		if !pending {
			rollup.AddRow(&sum, level-1, &r)
		}
	}
	k := key(start)
	if pending {
		return d.levels[level].Put(k, seal(k, total.Append(nil)))
	}
	r = sum.Rollup()
	return d.levels[level].Put(k, seal(k, r.Append(nil)))
}

// pendingIn returns the pending rollup in a value, if it is one.
func pendingIn(k, v []byte) (p energy.Pending, ok bool) {
	if p, ok = energy.ReadPending(v[:max(len(v)-checksumSize, 0)]); ok {
		_, ok = unseal(k, v)
	}
	return p, ok
}

// repaired is the rollup of a base row that was pending.
type repaired struct {
	start        int64
	was, becomes []byte // in the store
}

// repair computes rollups of a device that are pending, without delaying the writer.
func (b *Store) repair(name string, starts []int64) error {
	w := newWrite(name)
	err := b.view(context.Background(), func(tx *bbolt.Tx) error {
		d, ok := b.device(tx, name)
		if !ok {
			return nil
		}
		for _, start := range starts {
			k := key(start)
			v := d.levels[rollup.BaseLevel].Get(k)
			if _, pending := pendingIn(k, v); pending {
				r := d.derived(rollup.BaseLevel, start)
				w.repaired = append(w.repaired, repaired{start, bytes.Clone(v), seal(k, r.Append(nil))})
			}
		}
		return nil
	})
	if err != nil || len(w.repaired) == 0 {
		return err
	}
	return b.do(context.Background(), w)
}

// putRepaired stores rollups that were computed, of rows that have not changed since.
func (d device) putRepaired(w *write, all changes) error {
	for _, r := range w.repaired {
		k := key(r.start)
		if !bytes.Equal(d.levels[rollup.BaseLevel].Get(k), r.was) {
			continue // the write that changed it has noted it, if it is still pending
		}
		if err := d.levels[rollup.BaseLevel].Put(k, r.becomes); err != nil {
			return err
		}
		all.at(r.start)
		w.mended = true
	}
	return nil
}
