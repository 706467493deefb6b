package bolt

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

func (b *Store) Prune(ctx context.Context, before time.Time) (deleted int64, err error) {
	names, err := b.Devices(ctx)
	if err != nil {
		return 0, err
	}
	for _, d := range names {
		// Whole base rows, and not the one with the newest sample: a device always has a latest one.
		w := newWrite(d.ID)
		w.prune = rollup.StartOf(rollup.BaseLevel, min(before.UnixMilli(), d.Last.UnixMilli()))
		if d.Last.IsZero() || w.prune <= 0 || !b.hasBefore(ctx, d.ID, w.prune) {
			continue
		}
		if err := b.do(ctx, w); err != nil {
			return deleted, err
		}
		deleted += int64(w.deleted)
	}
	return deleted, nil
}

func (b *Store) hasBefore(ctx context.Context, name string, before int64) (has bool) {
	b.view(ctx, func(tx *bbolt.Tx) error {
		if d, ok := b.device(tx, name); ok {
			k, _ := d.levels[rollup.SamplesLevel].Cursor().First()
			has = k != nil && ms(k) < before
		}
		return nil
	})
	return has
}

// pruneBefore deletes some of the samples before w.prune. Where it stops inside a base row, that row has lost samples
// too: what the rollup counts of it stays.
func (d device) pruneBefore(w *write, bases changes) error {
	c := d.levels[rollup.SamplesLevel].Cursor()
	end := int64(0)
	for k, _ := c.First(); k != nil && ms(k) < w.prune && w.deleted < rollup.PruneAtOnce; k, _ = c.First() {
		if base := rollup.StartOf(rollup.BaseLevel, ms(k)); base >= end {
			end = base + rollup.Spans[rollup.BaseLevel]
			if _, pending, _ := d.known(rollup.BaseLevel, base); pending { // the samples are what it is computed from
				if err := d.derive(rollup.BaseLevel, base); err != nil {
					return err
				}
				bases.at(base)
			}
		}
		if err := c.Delete(); err != nil {
			return err
		}
		w.deleted++
	}
	if end <= d.pruned() {
		return nil
	}
	return d.root.Put(prunedKey, seal(prunedKey, binary.BigEndian.AppendUint64(nil, uint64(end))))
}

// pruned returns the time, ms, before which samples may be gone.
func (d device) pruned() int64 {
	payload, ok := unseal(prunedKey, d.root.Get(prunedKey))
	if !ok || len(payload) != 8 {
		return 0
	}
	return ms(payload)
}

// lostSamples reports whether samples of a base row were pruned: the first of them is gone then, because the oldest go first.
func (d device) lostSamples(start int64) bool {
	k := key(start)
	v := d.levels[rollup.BaseLevel].Get(k)
	if v == nil {
		return false
	}
	return d.levels[rollup.SamplesLevel].Get(key(d.seen(rollup.BaseLevel, k, v).First)) == nil
}

// count adds late rows to the rollups of base rows whose samples are gone, if they are before or after all of those.
func (d device) count(w *write, late []row, bases changes) error {
	slices.SortFunc(late, func(a, b row) int { return cmp.Compare(a.ms, b.ms) })
	for len(late) > 0 {
		start := rollup.StartOf(rollup.BaseLevel, late[0].ms)
		n := 0
		for n < len(late) && late[n].ms < start+rollup.Spans[rollup.BaseLevel] {
			n++
		}
		new, greatestW, err := d.countInto(start, late[:n])
		if err != nil {
			return err
		}
		if late = late[n:]; new > 0 {
			w.new += new
			w.greatestW = max(w.greatestW, greatestW)
			bases.at(start) // its rollup is written, those above are not
		}
	}
	return nil
}

func (d device) countInto(start int64, late []row) (new int, greatestW float64, err error) {
	k := key(start)
	r := d.rollup(rollup.BaseLevel, k, d.levels[rollup.BaseLevel].Get(k))
	samples := make([]*wire.Sample, len(late))
	for i, row := range late {
		samples[i] = &wire.Sample{}
		if err := samples[i].UnpackFields(row.value); err != nil {
			return 0, 0, err
		}
		samples[i].Time = rollup.FromMS(row.ms)
	}
	added := rollup.AddLate(&r, samples)
	if len(added) == 0 {
		return 0, 0, nil
	}
	for _, i := range added {
		greatestW = max(greatestW, late[i].greatestW)
	}
	return len(added), greatestW, d.putRollup(rollup.BaseLevel, start, &r)
}
