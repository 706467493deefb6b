// Package bolt is the embedded store: samples and rollups in one file on the local disk, by bbolt.
//
//	Insert ──> fairqueue ──> writer ──one transaction for all that wait──> file
//	Periods, Latest, Each <──transactions that read────────────────────────┘
//	Repairs ──pending rollups, computed outside of the writer──> fairqueue
package bolt

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/fairqueue"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// Store keeps samples in one file on the local disk. Exactly one process holds the file.
//
//	devices / DEVICE / samples     time in ms              -> packed sample without device and time, checksum
//	                   base        start of 5 min (UTC)    -> rollup of the samples in it, checksum; it may be pending
//	                   hours       start of the UTC hour   -> rollup of the base rows in it, checksum
//	                   watches     start of 4 h (UTC)      -> rollup of the hours in it, checksum
//	                   days        start of the UTC day    -> rollup of the four-hour rows in it, checksum
//	                   about       JSON, checksum
//	                   aside       number                  -> sample that is set aside, checksum; aside_keys: which are
//	                   pruned      time in ms before which samples were deleted
//	                   greatest_w  the greatest power of the samples, W
//	                   counted     version of the rules by which the rollups are counted; counting: how far, until then
//	tokens             creation in ms, id      -> token, its secret as a sum alone, checksum
//	sites              name                    -> its devices, checksum
//	meta / kind, schema, check
//
// Keys of time are big-endian, so bbolt's order is the order of time. One goroutine writes: it takes all Inserts that
// wait into one transaction, because a flush of the disk costs more than everything else. A row whose checksum is wrong
// counts as absent: it is skipped, an Insert of its key replaces it, and a damaged rollup is computed from what is below.
type Store struct {
	path    string
	writes  chan *write
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the writer has closed the file
	once    sync.Once

	conflicts, damaged atomic.Uint64

	mu   sync.RWMutex // held for reading while a transaction reads, for writing while db is replaced
	db   *bbolt.DB    // nil when it is away; only the writer replaces it
	away error        // why db is nil

	backups atomic.Pointer[store.Backups] // noted since the store was opened

	recounting sync.Mutex
	recounted  string // the devices before this one, by name, are counted by today's rules

	opened   time.Time
	released atomic.Int64 // how long after opened releasePages last checked

	repairs   *rollup.Repairs
	repairing sync.WaitGroup // until the repairs have ended

	// Of the writer alone.
	waiting      fairqueue.Queue[*write]
	stillPending []rollup.SpanKey // base rows that the transaction left pending
	suspect      bool             // the last commit failed: what is read from the file may not be on the disk
	stuck        bool             // a transaction could not be ended, bbolt's lock is never released
}

// Open opens the store in the file at path, or creates it with its directory. Errors that an operator must act on
// are *health.Fault.
func Open(path string) (*Store, error) {
	if err := createFile(path); err != nil {
		return nil, err
	}
	db, err := openFile(path)
	if err != nil {
		return nil, err
	}
	b := &Store{
		path: path, db: db, writes: make(chan *write), closing: make(chan struct{}), done: make(chan struct{}), repairs: rollup.NewRepairs(),
		opened: time.Now(),
	}
	go b.writer()
	b.repairing.Go(func() { b.repairs.Run(b.closing, b.repair) })
	return b, nil
}

// Conflicts returns how many samples were skipped although they differ from the stored one of the same device and time:
// two edges with one device id, or a clock that went back.
func (b *Store) Conflicts() uint64 { return b.conflicts.Load() }

// Damaged returns how often a row with a wrong checksum was read.
func (b *Store) Damaged() uint64 { return b.damaged.Load() }

func (b *Store) Insert(ctx context.Context, device string, samples []wire.Sample) (inserted int, err error) {
	if err := store.Validate(device, samples); err != nil {
		return 0, err
	}
	w := newWrite(device)
	w.pack(samples)
	err = b.do(ctx, w)
	return w.inserted(err), err
}

func (b *Store) Describe(ctx context.Context, device string, about store.About) error {
	about.Seen = about.Seen.Truncate(time.Millisecond).UTC()
	if was, err := b.About(ctx, device); err != nil || was.Equal(about) {
		return err
	}
	w := newWrite(device)
	w.about = &about
	return b.do(ctx, w)
}

func (b *Store) About(ctx context.Context, device string) (about store.About, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		about = b.about(tx, []byte(device))
		return nil
	})
	return about, err
}

func (b *Store) Devices(ctx context.Context) (all []store.Device, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket(devicesBucket).ForEachBucket(func(name []byte) error {
			line := store.Device{ID: string(name), About: b.about(tx, name)}
			if d, ok := b.device(tx, line.ID); ok {
				if first, last, ok := d.extent(); ok {
					line.First, line.Last = rollup.FromMS(first), rollup.FromMS(last)
				}
			}
			all = append(all, line)
			return ctx.Err()
		})
	})
	return all, err
}

func (b *Store) Latest(ctx context.Context, device string) (s wire.Sample, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		d, ok := b.device(tx, device)
		if !ok {
			return fmt.Errorf("device %q: %w", device, store.ErrNone)
		}
		c, p := d.levels[rollup.SamplesLevel].Cursor(), pause{ctx: ctx}
		for k, v := c.Last(); k != nil; k, v = c.Prev() {
			if p.over() {
				return context.Cause(ctx)
			}
			var whole bool
			if s, whole, err = d.sample(device, k, v); whole || err != nil {
				return err
			}
		}
		return fmt.Errorf("device %q: %w", device, store.ErrNone)
	})
	return s, err
}

func (b *Store) Periods(ctx context.Context, q store.Query) ([]energy.Period, error) {
	g, err := b.gather(ctx, q, false)
	if err != nil {
		return nil, err
	}
	return g.Periods, nil
}

func (b *Store) Surrounded(ctx context.Context, q store.Query) ([]energy.Period, energy.Around, error) {
	g, err := b.gather(ctx, q, true)
	if err != nil {
		return nil, energy.Around{}, err
	}
	return g.Periods, energy.Around{Before: g.Sides[0], After: g.Sides[1]}, nil
}

func (b *Store) SurroundedOf(ctx context.Context, devices []string, q store.Query) (all []store.Surroundings, err error) {
	if q, err = q.Valid(); err != nil {
		return nil, err
	}
	all = make([]store.Surroundings, len(devices))
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		for i, name := range devices {
			g := rollup.NewGatherer(q, rollup.Scope{})
			if d, ok := b.device(tx, name); ok {
				if g, err = d.gather(ctx, q, true); err != nil {
					return err
				}
				if d.counted() > 0 {
					all[i].GreatestW = d.greatestW()
				}
			}
			all[i].Periods, all[i].Before, all[i].After = g.Periods, g.Sides[0], g.Sides[1]
		}
		return nil
	})
	return all, err
}

func (b *Store) gather(ctx context.Context, q store.Query, around bool) (g *rollup.Gatherer, err error) {
	if q, err = q.Valid(); err != nil {
		return nil, err
	}
	g = rollup.NewGatherer(q, rollup.Scope{})
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		if d, ok := b.device(tx, q.Device); ok {
			g, err = d.gather(ctx, q, around)
		}
		return err
	})
	return g, err
}

// eachAtOnce is how many samples Each reads in one transaction: one that lasts keeps the pages that it sees from being
// used again, and the file grows.
const eachAtOnce = 1000

func (b *Store) Each(ctx context.Context, device string, from, to time.Time, yield func(wire.Sample) bool) error {
	start, end := int64(0), int64(math.MaxInt64)
	if !from.IsZero() {
		start = max(start, rollup.CeilMS(from))
	}
	if !to.IsZero() {
		end = rollup.CeilMS(to)
	}
	for {
		some, err := b.some(ctx, device, start, end)
		if err != nil {
			return err
		}
		for _, s := range some {
			if !yield(s) {
				return nil
			}
			start = s.Time.UnixMilli() + 1
		}
		if len(some) < eachAtOnce {
			return nil
		}
	}
}

// some returns the first samples in [from, to) ms.
func (b *Store) some(ctx context.Context, device string, from, to int64) (some []wire.Sample, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		d, ok := b.device(tx, device)
		if !ok {
			return nil
		}
		c, p := d.levels[rollup.SamplesLevel].Cursor(), pause{ctx: ctx}
		for k, v := c.Seek(key(from)); k != nil && ms(k) < to && len(some) < eachAtOnce; k, v = c.Next() {
			if p.over() {
				return context.Cause(ctx)
			}
			s, whole, err := d.sample(device, k, v)
			if err != nil {
				return err
			}
			if whole {
				some = append(some, s)
			}
		}
		return nil
	})
	return some, err
}

func (b *Store) Check(ctx context.Context) error {
	w := newWrite("")
	w.check = true
	return b.do(ctx, w)
}

// Close waits for the transaction that is being committed, refuses the rest and closes the file.
func (b *Store) Close() error {
	b.once.Do(func() { close(b.closing) })
	<-b.done
	b.repairing.Wait()
	return nil
}

// do queues w for the writer and waits for its commit.
func (b *Store) do(ctx context.Context, w *write) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case b.writes <- w:
	case <-b.closing:
		return store.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-w.done: // both are over: what is stored is not said to be unknown
		return err
	default:
		w.abandoned.Store(true)
		return context.Cause(ctx)
	}
}

// view runs read in a transaction. A page that cannot be read, because the file was cut or overwritten, is an error.
func (b *Store) view(ctx context.Context, read func(*bbolt.Tx) error) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.db == nil {
		return b.away
	}
	defer recoverDamage(b.path, &err)()
	tx, err := b.db.Begin(false)
	if err != nil {
		return store.Unavailable("read "+b.path, err)
	}
	defer tx.Rollback()
	defer b.releasePages(tx)
	return read(tx)
}

// Mapped pages of the file count as memory of this process, although they belong to the system's page cache, which shrinks
// when memory is needed. An operator who watches or limits the memory sees no more of them than this.
const (
	mostMapped   = 28 << 20 // of them some 20 are the program
	releaseEvery = time.Millisecond
)

// releasePages releases mapped pages if there are many. tx keeps the file mapped at its address.
func (b *Store) releasePages(tx *bbolt.Tx) {
	now, last := time.Since(b.opened), b.released.Load()
	if now-time.Duration(last) >= releaseEvery && b.released.CompareAndSwap(last, int64(now)) && mapped() > mostMapped {
		releaseMapped(tx)
	}
}
