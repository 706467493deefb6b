package bolt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/health"
	"sunspool/internal/durable"
	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// Replica is a file that is read or filled as a whole, see store.Replica. No other process may have it open, but for reading it
// when this one only reads it.
type Replica struct{ store *Store }

var _ store.Replica = &Replica{}

// OpenRows opens the file at path to be read: it stays as it is.
func OpenRows(path string) (*Replica, error) {
	o := options()
	o.ReadOnly = true
	db, err := openWith(path, o)
	if err != nil {
		return nil, err
	}
	r := newReplica(path, db)
	err = r.store.view(context.Background(), func(tx *bbolt.Tx) error {
		schema, err := strconv.Atoi(string(tx.Bucket(metaBucket).Get(schemaKey)))
		if err == nil && schema < oldestCopied {
			err = &health.Fault{Code: "store_older", Exit: health.ExitConfig, What: path + " was written by an early sunspool", Why: fmt.Sprintf("its schema is %d", schema),
				Next: "start `sunspool vps` once with it, or with a copy of it, which brings it up to date"}
		}
		return err
	})
	if err != nil {
		db.Close()
	}
	return r, err
}

const oldestCopied = 2 // schema; of one before, all rollups are made again when it is opened

// OpenReplica opens the file at path to be filled, or creates it with its directory. It belongs to whom the directory belongs to.
func OpenReplica(path string) (*Replica, error) {
	if err := createFile(path); err != nil {
		return nil, err
	}
	if like, err := os.Stat(filepath.Dir(path)); err == nil {
		if err := durable.GiveTo(path, like); err != nil {
			return nil, err
		}
	}
	db, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return newReplica(path, db), nil
}

func newReplica(path string, db *bbolt.DB) *Replica {
	return &Replica{&Store{path: path, db: db, repairs: rollup.NewRepairs(), opened: time.Now()}}
}

// Close closes the file.
func (r *Replica) Close() error { return r.store.db.Close() }

// Damaged is that of store.Rows.
func (r *Replica) Damaged() uint64 { return r.store.Damaged() }

// Aside is that of store.Rows.
func (r *Replica) Aside(ctx context.Context, device string, after int64, limit int) ([]store.Aside, error) {
	return r.store.Aside(ctx, device, after, limit)
}

// Tokens is that of store.Rows.
func (r *Replica) Tokens(ctx context.Context) ([]store.Token, error) {
	all, _, err := r.store.Tokens(ctx)
	return all, err
}

// Sites is that of store.Rows.
func (r *Replica) Sites(ctx context.Context) ([]store.Site, error) { return r.store.Sites(ctx) }

// States is that of store.Rows.
func (r *Replica) States(ctx context.Context) (all []store.State, err error) {
	err = r.store.view(ctx, func(tx *bbolt.Tx) error {
		all = nil
		return tx.Bucket(devicesBucket).ForEachBucket(func(name []byte) error {
			s := store.State{Device: string(name), About: r.store.about(tx, name)}
			d := device{store: r.store, name: s.Device, root: tx.Bucket(devicesBucket).Bucket(name)}
			s.GreatestW, s.Counted = d.greatestW(), int(d.counted())
			if pruned := d.pruned(); pruned > 0 {
				s.Pruned = rollup.FromMS(pruned)
			}
			if payload, ok := unseal(countingKey, d.root.Get(countingKey)); ok && len(payload) == 9 {
				s.Counting, s.CountedFrom = int(payload[0]), rollup.FromMS(ms(payload[1:]))
			}
			if rows := d.root.Bucket(asideBucket); rows != nil {
				s.Aside = int64(rows.Sequence())
			}
			all = append(all, s)
			return ctx.Err()
		})
	})
	return all, err
}

// Days is that of store.Rows.
func (r *Replica) Days(ctx context.Context, name string, values bool) (all []store.DayRows, err error) {
	err = r.store.view(ctx, func(tx *bbolt.Tx) error {
		d, ok := r.store.device(tx, name)
		if !ok {
			return nil
		}
		days := store.NewDays()
		for level := rollup.BaseLevel; level < rollup.Levels; level++ {
			if err := d.eachRollup(ctx, level, 0, endOfTime, func(row store.RollupRow) error {
				days.AddRollup(rollup.StartOf(rollup.DayLevel, row.Start), row, level == rollup.DayLevel, rowsIn(row.Packed))
				return nil
			}); err != nil {
				return err
			}
		}
		err := d.eachSample(ctx, 0, endOfTime, values, func(s *wire.Sample, at int64) error {
			days.AddSample(rollup.StartOf(rollup.DayLevel, at), at, s)
			return nil
		})
		all = days.Sorted()
		return err
	})
	return all, err
}

const endOfTime = 1 << 62 // ms

// rowsIn returns how many samples a packed rollup counts.
func rowsIn(packed []byte) int64 {
	p, _, _ := rollup.Known(packed)
	return p.Rows
}

// eachRollup calls yield with the rows of a level that begin in [from, to). Those that are damaged are computed.
func (d device) eachRollup(ctx context.Context, level int, from, to int64, yield func(store.RollupRow) error) error {
	c, p := d.levels[level].Cursor(), pause{ctx: ctx}
	var check energy.Rollup
	for k, v := c.Seek(key(from)); k != nil && ms(k) < to; k, v = c.Next() {
		if p.over() {
			return context.Cause(ctx)
		}
		d.releasePages()
		packed, ok := unseal(k, v)
		if _, pending := energy.ReadPending(packed); !ok || !pending && !check.Read(packed) {
			r := d.rollup(level, k, v)
			packed = r.Append(nil)
		}
		if err := yield(store.RollupRow{Level: level, Start: ms(k), Packed: packed}); err != nil {
			return err
		}
	}
	return nil
}

// eachSample calls yield with the samples in [from, to) that are whole, or with their times alone.
func (d device) eachSample(ctx context.Context, from, to int64, values bool, yield func(s *wire.Sample, at int64) error) error {
	c, p := d.levels[rollup.SamplesLevel].Cursor(), pause{ctx: ctx}
	for k, v := c.Seek(key(from)); k != nil && ms(k) < to; k, v = c.Next() {
		if p.over() {
			return context.Cause(ctx)
		}
		d.releasePages()
		if !values {
			if _, ok := unseal(k, v); !ok {
				continue
			}
			if err := yield(nil, ms(k)); err != nil {
				return err
			}
			continue
		}
		s, whole, err := d.sample(d.name, k, v)
		if err == nil && whole {
			err = yield(&s, ms(k))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// EachRow is that of store.Rows.
func (r *Replica) EachRow(ctx context.Context, name string, day int64, yield func([]wire.Sample, []store.RollupRow) error) error {
	return r.store.view(ctx, func(tx *bbolt.Tx) error {
		d, ok := r.store.device(tx, name)
		if !ok {
			return yield(nil, nil)
		}
		end := day + rollup.Spans[rollup.DayLevel]
		var some []wire.Sample
		if err := d.eachSample(ctx, day, end, true, func(s *wire.Sample, _ int64) error {
			if some = append(some, *s); len(some) < store.CopiedAtOnce {
				return nil
			}
			defer func() { some = nil }()
			return yield(some, nil)
		}); err != nil {
			return err
		}
		if len(some) > 0 {
			if err := yield(some, nil); err != nil {
				return err
			}
		}
		rows := []store.RollupRow{}
		for level := rollup.BaseLevel; level < rollup.Levels; level++ {
			if err := d.eachRollup(ctx, level, day, end, func(row store.RollupRow) error {
				row.Packed = append([]byte(nil), row.Packed...)
				rows = append(rows, row)
				return nil
			}); err != nil {
				return err
			}
		}
		return yield(nil, rows)
	})
}
