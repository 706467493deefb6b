package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"sunspool/wire"
)

// groupRows ends a group: bbolt keeps the new rows of a transaction in slices, and a long one is slow to insert into.
const groupRows = 4096

// write is one call that waits for its commit.
type write struct {
	device string
	rows   []row
	zone   *string
	done   chan error // of capacity 1: the caller may be gone

	new, conflicts int // belong to the writer until done
}

type row struct {
	ms    int64
	value []byte // sealed
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
		w.rows[i] = row{ms, b[start:len(b):len(b)]}
	}
}

// inserted returns the number of new rows, which is known only without an error.
func (w *write) inserted(err error) int {
	if err != nil {
		return 0
	}
	return w.new
}

// writer commits what waits, until Close.
func (b *Bolt) writer() {
	defer close(b.done)
	for {
		select {
		case <-b.closing:
			b.replace(func() (*bolt.DB, error) { return nil, ErrClosed })
			return
		case w := <-b.writes:
			b.commit(b.group(w))
		}
	}
}

// group returns first and the other writes that wait.
func (b *Bolt) group(first *write) []*write {
	group, rows := []*write{first}, len(first.rows)
	for rows < groupRows {
		select {
		case w := <-b.writes:
			group = append(group, w)
			rows += len(w.rows)
		default:
			return group
		}
	}
	return group
}

// commit stores the group in one transaction, or, when a damaged page is in the way, each for itself, so that the damage
// of one device does not stop the others.
func (b *Bolt) commit(group []*write) {
	err := b.try(group)
	if isDamage(err) && len(group) > 1 {
		for _, w := range group {
			b.commit([]*write{w})
		}
		return
	}
	for _, w := range group {
		if err == nil {
			b.conflicts.Add(uint64(w.conflicts))
		}
		w.done <- err
	}
}

// try runs one transaction. After a failed commit neither bbolt nor the page cache of the system can be believed: the
// file is opened anew. A disk that is full or read-only is the exception, bbolt is consistent then and can still be read.
func (b *Bolt) try(group []*write) error {
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
		b.replace(func() (*bolt.DB, error) { return nil, err })
	case !isFull(err):
		b.reopen()
	}
	if isDamage(err) {
		return err
	}
	return unavailable("write "+b.path, err)
}

func (b *Bolt) transact(group []*write) (err error) {
	for _, w := range group {
		w.new, w.conflicts = 0, 0
	}
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

// apply puts the new rows and then computes every rollup that one of them falls into, once for the whole group.
func (b *Bolt) apply(tx *bolt.Tx, group []*write) (changed bool, err error) {
	touched := map[string]map[int64]bool{} // device, start of quarter
	for _, w := range group {
		d, root, err := b.createDevice(tx, w.device)
		if err != nil {
			return false, fmt.Errorf("device %q: %w", w.device, err)
		}
		if w.zone != nil {
			changed = true
			if err := root.Put(zoneKey, []byte(*w.zone)); err != nil {
				return false, err
			}
		}
		quarters := touched[w.device]
		if quarters == nil {
			quarters = map[int64]bool{}
			touched[w.device] = quarters
		}
		if err := d.put(w, quarters); err != nil {
			return false, err
		}
		changed = changed || w.new > 0
	}
	for name, quarters := range touched {
		d, _ := b.device(tx, name)
		if err := d.deriveAll(quarters); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// put stores the rows of w whose keys are new and adds their quarters.
func (d device) put(w *write, quarters map[int64]bool) error {
	for _, r := range w.rows {
		k := key(r.ms)
		if v := d.levels[0].Get(k); v != nil {
			if stored, ok := unseal(k, v); ok {
				if !samePacked(stored, r.value[:len(r.value)-checksumSize]) {
					w.conflicts++
				}
				continue
			}
			d.store.damaged.Add(1)
		}
		if err := d.levels[0].Put(k, r.value); err != nil {
			return err
		}
		w.new++
		quarters[r.ms-r.ms%levels[1].step] = true
	}
	return nil
}

// samePacked compares by content: the stored sample may have been packed when a name was not yet in the table.
func samePacked(stored, sent []byte) bool {
	if bytes.Equal(stored, sent) {
		return true
	}
	var s wire.Sample
	return s.Unpack(stored) == nil && bytes.Equal(s.AppendPacked(nil), sent)
}

func (d device) deriveAll(quarters map[int64]bool) error {
	days := map[int64]bool{}
	for _, start := range slices.Sorted(maps.Keys(quarters)) {
		if err := d.derive(1, start); err != nil {
			return err
		}
		days[start-start%levels[2].step] = true
	}
	for _, start := range slices.Sorted(maps.Keys(days)) {
		if err := d.derive(2, start); err != nil {
			return err
		}
	}
	return nil
}

// reopen closes the file and opens it again. What the page cache believes to have written is dropped first, and the next
// transaction flushes the disk even if it finds nothing new: a row that it finds is then really there.
func (b *Bolt) reopen() {
	b.suspect = true
	b.replace(func() (*bolt.DB, error) {
		dropPageCache(b.path)
		db, err := openBolt(b.path)
		if err != nil {
			return nil, unavailable("open again", err)
		}
		return db, nil
	})
}

// replace closes the handle, unless it is stuck, and puts another one or the reason for having none in its place.
func (b *Bolt) replace(open func() (*bolt.DB, error)) {
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

// recoverDamage turns a panic of the calling goroutine into an error that says that the file is damaged: bbolt panics on
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
