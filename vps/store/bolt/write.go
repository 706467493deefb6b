package bolt

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// write is one call that waits for its commit.
type write struct {
	device string
	rows   []row
	about  *store.About
	prune  int64            // delete samples before that time, ms
	count  *rollup.DayCount // to replace what an earlier version counted
	check  bool             // nothing but a durable commit
	aside  *asideWrite
	beside []byte // the bucket that change changes
	change func(*bbolt.Bucket) (changed bool, err error)
	done   chan error // of capacity 1: the caller may be gone

	repaired  []repaired
	abandoned atomic.Bool // the caller is gone

	// Of earlier transactions, when the rows are too many for one.
	began  bool
	stored int // new rows

	rest                    bool // the transaction ended before the write, or after so many of its rows
	took                    int
	new, conflicts, deleted int // belong to the writer until done
	greatestW               float64
	mended                  bool  // something of repaired is stored
	refused                 error // why nothing is
}

type row struct {
	ms        int64
	value     []byte  // sealed
	greatestW float64 // see energy.GreatestW
}

func newWrite(device string) *write { return &write{device: device, done: make(chan error, 1)} }

// pack fills the rows, in the caller's goroutine: the writer is the bottleneck.
func (w *write) pack(samples []wire.Sample) {
	w.rows = make([]row, len(samples))
	var b []byte
	for i, s := range samples {
		ms := s.Time.UnixMilli()
		s.DeviceID, s.Time = "", time.UnixMilli(0) // the key has both
		start := len(b)
		b = s.AppendPacked(slices.Grow(b, 512))
		k := key(ms)
		b = append(b[:start], seal(k, b[start:])...)
		w.rows[i] = row{ms, b[start:len(b):len(b)], energy.GreatestW(&s)}
	}
}

// inserted returns the number of new rows, which is known only without an error.
func (w *write) inserted(err error) int {
	if err != nil {
		return 0
	}
	return w.stored + w.new
}

// commit stores the group in one transaction, or, when a damaged page is in the way, each for itself, so that the damage
// of one device does not stop the others.
func (b *Store) commit(group []*write) {
	if len(group) == 0 {
		return
	}
	err := b.try(group)
	if isDamage(err) && len(group) > 1 {
		for _, w := range group {
			b.commit([]*write{w})
		}
		return
	}
	if err == nil {
		b.repairs.Note(b.stillPending...) // first: a caller whose write is done may write again at once
	}
	for _, w := range slices.Backward(group) { // the first of a device goes back last, before the others
		if err == nil {
			b.conflicts.Add(uint64(w.conflicts))
		}
		if err == nil && w.rest {
			w.began, w.rows, w.stored = w.began || w.took > 0, w.rows[w.took:], w.stored+w.new
			b.waiting.PutBack(w.device, w.cost(), w)
			continue
		}
		w.done <- cmp.Or(err, w.refused)
	}
}

// try runs one transaction. After a failed commit neither bbolt nor the page cache of the system can be trusted: the
// file is opened again. A disk that is full or read-only is the exception, bbolt is consistent then and can still be read.
func (b *Store) try(group []*write) error {
	if b.db == nil {
		if !b.stuck {
			b.reopen()
		}
		if b.db == nil {
			return b.away
		}
	}
	err := b.transact(group)
	switch {
	case err == nil:
		b.suspect = false
		return nil
	case b.stuck:
		b.replace(func() (*bbolt.DB, error) { return nil, err })
	case !isFull(err):
		b.reopen()
	}
	if isDamage(err) {
		return err
	}
	return store.Unavailable("write "+b.path, err)
}

func (b *Store) transact(group []*write) (err error) {
	for _, w := range group {
		w.rest, w.took, w.new, w.conflicts, w.deleted, w.greatestW, w.mended, w.refused = false, 0, 0, 0, 0, 0, false, nil
	}
	b.stillPending = b.stillPending[:0]
	defer recoverDamage(b.path, &err)()
	tx, err := b.db.Begin(true)
	if err != nil {
		return err
	}
	b.stuck = true // stays so if even the rollback panics: bbolt's lock is lost then
	defer func() {
		tx.Rollback()
		b.stuck = false
	}()
	changed, err := b.apply(tx, group)
	if err != nil {
		return err
	}
	if !changed && !b.suspect {
		return nil // only repetitions: no reason to flush the disk
	}
	return tx.Commit()
}

// transactionPages is how many pages a transaction changes before it leaves the rest to the next one. Rows of an hour share a
// few pages; a thousand of random times have one each, and what comes next waits until all of them are on the disk.
const transactionPages = 128

// spent reports whether tx has changed so many pages.
func spent(tx *bbolt.Tx) bool {
	changed := tx.Stats()
	return changed.GetNodeCount() >= transactionPages
}

// apply does the writes and then computes every rollup that a new row falls into, once for the whole group. It leaves a
// rest of the group when the pages that it changes become many.
func (b *Store) apply(tx *bbolt.Tx, group []*write) (changed bool, err error) {
	touched := map[string]changes{} // by device
	for i, w := range group {
		if w.rest = i > 0 && spent(tx); w.rest {
			continue
		}
		if w.check || w.change != nil {
			some, err := w.besideDevices(tx)
			if err != nil {
				return false, err
			}
			changed = changed || some
			continue
		}
		d, err := b.createDevice(tx, w.device)
		if err != nil {
			return false, fmt.Errorf("device %q: %w", w.device, err)
		}
		bases := touched[w.device]
		if bases == nil {
			bases = changes{}
			touched[w.device] = bases
		}
		if err := d.write(w, bases); err != nil {
			return false, err
		}
		changed = changed || w.new > 0 || w.deleted > 0 || w.about != nil || w.count != nil || w.mended || w.aside != nil && w.aside.changed()
	}
	for name, bases := range touched {
		if len(bases) == 0 {
			continue
		}
		d, _ := b.device(tx, name)
		if err := d.deriveAll(bases, rollup.RecountRoom(bases.rows())); err != nil {
			return false, err
		}
	}
	return changed, nil
}

func (d device) write(w *write, bases changes) error {
	switch {
	case w.about != nil:
		text, err := json.Marshal(w.about)
		if err != nil {
			return err
		}
		return d.root.Put(aboutKey, seal(aboutKey, text))
	case w.aside != nil:
		return d.writeAside(w.aside)
	case w.prune > 0:
		return d.pruneBefore(w, bases)
	case w.count != nil:
		return d.putCount(w.count, bases)
	case w.repaired != nil:
		return d.putRepaired(w, bases)
	}
	return d.put(w, bases)
}

// put stores the rows of w whose keys are new and adds them to their base rows, which are to be derived; or none of them, if
// some are more than a span may have.
func (d device) put(w *write, bases changes) error {
	if !w.began {
		if dense := d.tooDense(w, bases); len(dense) > 0 {
			w.refused = &store.TooDense{Indexes: dense}
			return nil
		}
	}
	pruned := d.pruned()
	lost := map[int64]bool{}
	var late []row
	for i, r := range w.rows {
		d.releasePages()
		if w.rest = i > 0 && spent(d.root.Tx()); w.rest {
			break
		}
		w.took = i + 1
		base := rollup.StartOf(rollup.BaseLevel, r.ms)
		if base < pruned {
			if _, known := lost[base]; !known {
				lost[base] = d.lostSamples(base)
			}
			if lost[base] {
				late = append(late, r)
				continue
			}
		}
		k := key(r.ms)
		if v := d.levels[rollup.SamplesLevel].Get(k); v != nil {
			if stored, ok := unseal(k, v); ok {
				if !samePacked(stored, r.value[:len(r.value)-checksumSize]) {
					w.conflicts++
				}
				continue
			}
			d.store.damaged.Add(1)
			bases.at(base).recompute = true // its rollup may count what was there
		}
		if err := d.levels[rollup.SamplesLevel].Put(k, r.value); err != nil {
			return err
		}
		w.new++
		w.greatestW = max(w.greatestW, r.greatestW)
		change := bases.at(base)
		change.rows = append(change.rows, r)
	}
	if err := d.count(w, late, bases); err != nil {
		return err
	}
	return d.raiseGreatest(w.greatestW)
}

// samePacked compares by content: the stored sample may have been packed when a name was not yet in the table, or sent
// when the edge polled at another interval.
func samePacked(stored, sent []byte) bool {
	if bytes.Equal(stored, sent) {
		return true
	}
	var a, b wire.Sample
	if a.Unpack(stored) != nil || b.Unpack(sent) != nil {
		return false
	}
	a.Interval, b.Interval = 0, 0
	return bytes.Equal(a.AppendPacked(nil), b.AppendPacked(nil))
}

// reopen closes the file and opens it again. Pages that the page cache has marked as written are dropped first, and the next
// transaction flushes the disk even if it adds nothing: a row that it finds is then really on the disk.
func (b *Store) reopen() {
	b.suspect = true
	b.replace(func() (*bbolt.DB, error) {
		dropPageCache(b.path)
		db, err := openFile(b.path)
		if err != nil {
			return nil, store.Unavailable("open again", err)
		}
		return db, nil
	})
}

// replace closes the handle, unless it is stuck, and replaces it by another one, or by the reason why there is none.
func (b *Store) replace(open func() (*bbolt.DB, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.db != nil && !b.stuck {
		b.db.Close()
	}
	b.db, b.away = open()
}

func isFull(err error) bool {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, berrors.ErrMaxSizeReached} {
		if errors.Is(err, full) {
			return true
		}
	}
	return false
}

// recoverDamage turns a panic of the calling goroutine into an error about a damaged file: bbolt panics on
// pages that make no sense, and reading a page behind the end of a file that was cut is a fault of memory. Use:
// defer recoverDamage(path, &err)()
func recoverDamage(path string, err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			*err = damage(path, fmt.Sprint(r))
		}
	}
}
