package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/internal/durable"
)

// Open opens the spool at path, or creates it, with its directory. Unlike Start it returns every error, as a
// *health.Fault.
func Open(path string) (*Spool, error) {
	s := newSpool(path, nil)
	if err := s.first(); err != nil {
		close(s.quit)
		return nil, spoolFault(path, err)
	}
	return s, nil
}

// newSpool returns the spool at path, whose file is not open yet.
func newSpool(path string, busy func(most time.Duration)) *Spool {
	s := &Spool{Busy: busy, path: path, ops: make(chan func()), quit: make(chan struct{})}
	s.lost = make(chan struct{})
	go s.loop()
	return s
}

// createSpool makes an empty spool whose first number is the one after last. A power cut inside bbolt's own first write
// leaves a file that cannot be opened, so that write goes to another name, and the file gets its own when it is whole
// and on the disk.
func createSpool(path string, last uint64) error {
	fresh := path + ".new"
	if err := format.WriteEmpty(fresh, last); err != nil {
		remove(fresh) // it would take the last space of a disk that is full
		return err
	}
	// A link, not a rename: another process may have made the spool in between, and its samples must not be lost.
	if err := os.Link(fresh, path); errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil { // a filesystem without links
		if err := os.Rename(fresh, path); err != nil {
			return err
		}
	}
	return errors.Join(remove(fresh), durable.SyncDir(filepath.Dir(path)))
}

// remove removes the file at path, if there is one.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// load checks the schema and counts.
func (s *Spool) load(tx *bolt.Tx) error {
	for _, name := range format.Buckets {
		if tx.Bucket(name) == nil {
			return errors.New("not a spool of sunspool")
		}
	}
	meta, samples, quarantine := tx.Bucket(format.MetaBucket), tx.Bucket(format.SamplesBucket), tx.Bucket(format.QuarantineBucket)
	if v := format.Number(meta, format.SchemaKey); v > format.Schema {
		return fmt.Errorf("%w: schema %d, this program knows %d", format.ErrNewer, v, format.Schema)
	}
	s.acks.clear() // samples that the server has and that are still in the file are sent again
	s.waiting.Store(int64(samples.Sequence() - format.Number(meta, format.SettledKey)))
	s.quarantined.Store(int64(quarantine.Stats().KeyN))
	return s.loadUndated(tx)
}
