package bolt

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
)

func (b *Store) Digests(ctx context.Context, devices []string, from, to time.Time) (all []store.Digest, err error) {
	all = make([]store.Digest, len(devices))
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		p := pause{ctx: ctx}
		for i, name := range devices {
			if d, ok := b.device(tx, name); ok {
				d.digest(&all[i], from.UnixMilli(), to.UnixMilli(), &p)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return all, err
}

// digest sets what the days in [from, to) ms have.
func (d device) digest(digest *store.Digest, from, to int64, p *pause) {
	c := d.levels[rollup.DayLevel].Cursor()
	k, _ := c.First()
	if k == nil {
		return
	}
	digest.First = ms(k)
	k, _ = c.Last()
	digest.Last = ms(k)
	if d.counted() > 0 {
		digest.GreatestW = d.greatestW()
	}
	start := max(rollup.StartOf(rollup.DayLevel, max(from, 0)), 0)
	for k, v := c.Seek(key(start)); k != nil && ms(k) < to && !p.over(); k, v = c.Next() {
		day := store.DayDigest{Start: ms(k)}
		if payload, ok := unseal(k, v); ok {
			day.Sum = rollup.DigestOf(payload)
		}
		digest.Days = append(digest.Days, day)
	}
}
