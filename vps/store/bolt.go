package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/wire"
)

// Bolt keeps samples in one file on the local disk. Exactly one process holds the file.
//
//	devices / DEVICE / samples     time in ms              -> packed sample without device and time, checksum
//	                   quarters    start of 15 min (UTC)   -> rollup of the samples in it, checksum
//	                   days        start of the UTC day    -> rollup of the quarters in it, checksum
//	                   zone
//	meta / kind, schema
//
// Keys of time are big-endian, so bbolt's order is the order of time. One goroutine writes: it takes all Inserts that
// wait into one transaction, because a flush of the disk costs more than everything else. A row whose checksum is wrong
// counts as absent: it is skipped, an Insert of its key replaces it, and a damaged rollup is computed from what is below.
type Bolt struct {
	path    string
	writes  chan *write
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the writer has closed the file
	once    sync.Once

	conflicts, damaged atomic.Uint64

	mu   sync.RWMutex // held for reading while a transaction reads, for writing while db is replaced
	db   *bolt.DB     // nil when it is away; only the writer replaces it
	away error        // why db is nil

	// Of the writer alone.
	suspect bool // the last commit failed: what the file seems to hold may not be on the disk
	stuck   bool // a transaction could not be ended, bbolt's lock is lost for ever
}

// OpenBolt opens the store in the file at path, or creates it with its directory. Errors that an operator must act on
// are *health.Fault.
func OpenBolt(path string) (*Bolt, error) {
	if err := createBolt(path); err != nil {
		return nil, err
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, err
	}
	b := &Bolt{
		path: path, db: db, writes: make(chan *write), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go b.writer()
	return b, nil
}

// Conflicts returns how many samples were skipped although they differ from the stored one of the same device and time:
// two edges with one device id, or a clock that went back.
func (b *Bolt) Conflicts() uint64 { return b.conflicts.Load() }

// Damaged returns how often a row with a wrong checksum was met.
func (b *Bolt) Damaged() uint64 { return b.damaged.Load() }

func (b *Bolt) Insert(ctx context.Context, device string, samples []wire.Sample) (inserted int, err error) {
	if err := validate(device, samples); err != nil {
		return 0, err
	}
	w := newWrite(device)
	w.pack(samples)
	err = b.do(ctx, w)
	return w.inserted(err), err
}

func (b *Bolt) SetZone(ctx context.Context, device, zone string) error {
	if was, err := b.Zone(ctx, device); err != nil || was == zone {
		return err
	}
	w := newWrite(device)
	w.zone = &zone
	return b.do(ctx, w)
}

func (b *Bolt) Zone(ctx context.Context, device string) (zone string, err error) {
	err = b.view(ctx, func(tx *bolt.Tx) error {
		if d := tx.Bucket(devicesBucket).Bucket([]byte(device)); d != nil {
			zone = string(d.Get(zoneKey))
		}
		return nil
	})
	return zone, err
}

func (b *Bolt) Latest(ctx context.Context, device string) (s wire.Sample, err error) {
	err = b.view(ctx, func(tx *bolt.Tx) error {
		d, ok := b.device(tx, device)
		if !ok {
			return fmt.Errorf("device %q: %w", device, ErrNone)
		}
		c := d.levels[0].Cursor()
		for k, v := c.Last(); k != nil; k, v = c.Prev() {
			packed, ok := unseal(k, v)
			if !ok {
				b.damaged.Add(1)
				continue
			}
			if err := s.Unpack(packed); err != nil {
				return fmt.Errorf("latest sample of device %q: %w", device, err)
			}
			s.DeviceID, s.Time = device, fromKey(k)
			return nil
		}
		return fmt.Errorf("device %q: %w", device, ErrNone)
	})
	return s, err
}

func (b *Bolt) Series(ctx context.Context, q Query) (buckets []wire.Bucket, err error) {
	if err := q.Resolution.validate(); err != nil {
		return nil, err
	}
	if q.Zone == nil {
		q.Zone = time.UTC
	}
	err = b.view(ctx, func(tx *bolt.Tx) error {
		d, ok := b.device(tx, q.Device)
		if !ok {
			return nil
		}
		buckets, err = d.series(ctx, q)
		return err
	})
	return buckets, err
}

// Close waits for the transaction that is being committed, refuses the rest and closes the file.
func (b *Bolt) Close() error {
	b.once.Do(func() { close(b.closing) })
	<-b.done
	return nil
}

// do gives w to the writer and waits for its commit.
func (b *Bolt) do(ctx context.Context, w *write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case b.writes <- w:
	case <-b.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// view runs read in a transaction. A page that cannot be read, because the file was cut or overwritten, is an error.
func (b *Bolt) view(ctx context.Context, read func(*bolt.Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.db == nil {
		return b.away
	}
	defer recoverDamage(b.path, &err)()
	tx, err := b.db.Begin(false)
	if err != nil {
		return unavailable("read "+b.path, err)
	}
	defer tx.Rollback()
	return read(tx)
}

func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}
