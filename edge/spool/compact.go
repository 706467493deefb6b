package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/durable"
)

// After a long outage the file is large and empty, and it stays expensive: bbolt writes the list of its free pages with
// every commit. So it is copied into a small one once it has drained.
//
//	spool.db ──copy──> spool.db.compact ──check──> sync ──rename──> spool.db ──sync directory
//
// Until the rename the copy is a leftover that the next start removes; from then on it is the spool. Both files are
// open, and so locked, while one takes the other's name: a process that opens the name finds a lock. A second process that
// was already waiting for the old file's lock gets it when this one releases it, and then sees that the file has lost
// its name (see lockFile).

const (
	compactFrom   = 4 << 20   // below that the list of free pages costs less than a page or two
	compactLarge  = 100 << 20 // a file of that size is compacted
	compactLittle = 10 << 20  // when no more than that is in it
	compactIdle   = 1000      // samples waiting: with more the backlog is still being drained
	compactAgain  = time.Hour // after an attempt that failed
	compactTx     = 4 << 20   // bytes per transaction of the copy
)

// bloated reports whether a file should be compacted.
func (r Capacity) bloated(waiting int) bool {
	if waiting > compactIdle || r.Size < compactFrom {
		return false
	}
	return r.Size > compactLarge && r.Used < compactLittle || r.Used < r.Size/5
}

// Compact makes the file small if it is large and nearly empty, and returns how many bytes were gained. A call that has
// nothing to do costs nothing. Other methods wait while it works, about a second per 30 MiB that are in use.
func (s *Spool) Compact() (gained int64, err error) {
	if !s.Capacity().bloated(s.Waiting()) {
		return 0, nil
	}
	err = s.exec(func() error {
		if now().Before(s.compactNext) {
			return nil
		}
		s.compactNext = now().Add(compactAgain)
		if s.Busy != nil {
			s.Busy(health.EstimateDuration(s.Capacity().Used))
		}
		before := s.Capacity().Size
		if err := s.compact(); err != nil {
			os.Remove(files.CompactPath(s.path))
			return fmt.Errorf("compact: %w", err)
		}
		s.compactNext = time.Time{}
		gained = before - s.Capacity().Size
		return nil
	})
	return gained, err
}

// stillNamed reports whether f is the file that path names.
func stillNamed(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(ours, named)
}

func (s *Spool) compact() error {
	if s.space.nameErr != nil {
		return s.space.nameErr
	}
	if free := durable.FreeBytes(filepath.Dir(s.path)); free < s.Capacity().Used+preallocateStep {
		return fmt.Errorf("only %d MiB free on the disk", free>>20)
	}
	fresh := files.CompactPath(s.path)
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	file, err := durable.Create(fresh, 0o600)
	if err != nil {
		return err
	}
	db, err := format.OpenBolt(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if err := s.copyTo(db, fresh); err != nil {
		return errors.Join(err, db.Close())
	}
	if err := os.Rename(fresh, s.path); err != nil {
		return errors.Join(err, db.Close())
	}
	old := s.db
	s.db, s.file = db, file // this cannot be undone: the old file has no name any more
	s.step("renamed")
	s.space.nameErr = durable.SyncDir(filepath.Dir(s.path)) // without it a power cut brings the old file back: update tries again
	s.step("synced")
	s.refresh()
	return errors.Join(s.space.nameErr, old.Close())
}

// copyTo makes db, whose file is at path, a durable and checked copy of the spool.
func (s *Spool) copyTo(db *bolt.DB, path string) error {
	s.step("created")
	if err := allocate(path, min(preallocateStep, s.space.limit)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := bolt.Compact(db, s.db, compactTx); err != nil {
		return err
	}
	s.step("copied")
	if err := sameContent(db, s.db); err != nil {
		return err
	}
	if err := db.Sync(); err != nil {
		return err
	}
	s.step("checked")
	return nil
}

// step calls the hook of a test.
func (s *Spool) step(name string) {
	if s.atStep != nil {
		s.atStep(name)
	}
}

// sameContent compares a copy with its original: the same buckets with the same sequences, keys in order, values byte
// for byte. A sample whose checksum is wrong ends the compaction: Peek quarantines it first.
func sameContent(replica, original *bolt.DB) error {
	return original.View(func(was *bolt.Tx) error {
		return replica.View(func(is *bolt.Tx) error {
			names := 0
			err := was.ForEach(func(name []byte, a *bolt.Bucket) error {
				names++
				b := is.Bucket(name)
				if b == nil || b.Sequence() != a.Sequence() {
					return fmt.Errorf("bucket %s of the copy is not the same", name)
				}
				n, err := sameBucket(b, a, bytes.Equal(name, format.SamplesBucket) || bytes.Equal(name, format.UndatedBucket))
				if err != nil {
					return fmt.Errorf("bucket %s, entry %d: %w", name, n, err)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return is.ForEach(func([]byte, *bolt.Bucket) error {
				if names--; names < 0 {
					return errors.New("the copy has more buckets")
				}
				return nil
			})
		})
	})
}

func sameBucket(b, a *bolt.Bucket, records bool) (n int, err error) {
	ca, cb := a.Cursor(), b.Cursor()
	var last []byte
	ka, va := ca.First()
	kb, vb := cb.First()
	for ; ka != nil; n++ {
		switch {
		case !bytes.Equal(ka, kb) || !bytes.Equal(va, vb):
			return n, errors.New("the copy is not the same")
		case last != nil && bytes.Compare(last, ka) >= 0:
			return n, errors.New("keys are not in order")
		case records:
			if _, err := format.Check(vb); err != nil {
				return n, err
			}
		}
		last = append(last[:0], ka...)
		ka, va = ca.Next()
		kb, vb = cb.Next()
	}
	if kb != nil {
		return n, errors.New("the copy has more entries")
	}
	return n, nil
}
