package spool

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/edge/spool/format"
	"sunspool/internal/durable"
)

// How much room the spool has, and what happens when it runs out. There are two ends: the size the owner allows it,
// and a disk that others fill.
//
//	0            used                 98 %      limit
//	├─────────────┼────────────────────┼──────────┤
//	│  samples    │  room for samples  │ for acks │
//
// Samples stop at 98 %: what is left is for Settle, because in a file that copies on write even forgetting needs room.
// And the blocks ahead of the end of the file are claimed before they are needed, so that a disk filled by others does
// not stop the drain; where the filesystem cannot do that, a file of ballast is thrown overboard instead.

const (
	preallocateStep = 16 << 20         // five days of samples, and little on the smallest card
	retryEach       = 10 * time.Second // between attempts to claim what was not to be had
	SampleShare     = 0.98             // of the limit, for samples
	ScarceFrom      = 0.70             // of it: the inverter is read less often
	releaseFrom     = 16 << 20         // a smaller file may stay in memory
	releaseEach     = time.Second / 4
)

// ErrFull is a spool that has reached the size it is allowed. Nothing is deleted for a new sample.
var ErrFull = errors.New("the spool has reached its size")

// DefaultMB is 85 days and more of samples. A process of 32 bits cannot map more than 1 GiB, and bbolt must map
// the next power of two.
func DefaultMB(bits int) int {
	if bits < 64 {
		return 512
	}
	return 1024
}

// MaxMB is what SPOOL_MAX_MB may be.
func MaxMB(bits int) int {
	if bits < 64 {
		return 512
	}
	return 1 << 20
}

const WordBits = strconv.IntSize

// Capacity says how full the spool is, in bytes.
type Capacity struct {
	Used         int64 // by pages that hold something
	Size         int64 // of the file, as far as it was ever used: Used and what can be used again
	Limit        int64
	Refused      bool  // the last samples found no place, though a few pages may be free
	Preallocated int64 // blocks that the disk has promised, from the start of the file; MaxInt64 if it promises none
}

// Share is the part of the room that is used, 0 to about 1. bbolt keeps the last MiB of a file for its next step.
func (r Capacity) Share() float64 {
	share := float64(r.Used) / float64(max(r.Limit-format.AllocSize, 1))
	if r.Refused {
		return max(share, SampleShare)
	}
	return share
}

// scarce reports whether the inverter is read less often because of it.
func (r Capacity) scarce() bool { return r.Share() >= ScarceFrom }

// capacityState is the part of a Spool that knows its size. The owner's goroutine writes it, Room may be asked from any.
type capacityState struct {
	limit           int64
	preallocated    int64
	nextPreallocate time.Time // no attempt to claim more before
	nextReserve     time.Time // no attempt to make a new one before
	released        time.Time // when mapped pages were given back
	reopenFirst     bool      // a commit failed otherwise than by lack of room: reopen before the next
	nameErr         error     // the name of the file is not durable, see compact
	current         atomic.Pointer[Capacity]

	allocate func(f *os.File, size int64) error // fallocate, unless a test has none
}

// Capacity returns how full the spool was after the last commit.
func (s *Spool) Capacity() Capacity {
	if r := s.space.current.Load(); r != nil {
		return *r
	}
	return Capacity{Limit: 2 * format.AllocSize}
}

// SetLimit sets the size that the spool may have, in bytes. A file that is larger already stays, and takes no more samples
// until it is drained.
func (s *Spool) SetLimit(bytes int64) error {
	return s.run(func() error {
		s.space.limit = bytes
		if s.db != nil { // else refresh does the rest
			s.preallocate()
			s.measure()
		}
		return nil
	})
}

// refresh makes the room of a file that was just opened known.
func (s *Spool) refresh() {
	if s.space.limit == 0 {
		s.space.limit = int64(DefaultMB(WordBits)) << 20
	}
	if s.space.allocate == nil {
		s.space.allocate = durable.Preallocate
	}
	s.space.preallocated, s.space.nextPreallocate, s.space.reopenFirst = 0, time.Time{}, false
	s.measure()
	s.preallocate()
	s.measure()
}

// commitSamples commits f, which adds samples, unless that would take the room that is left for acks.
func (s *Spool) commitSamples(f func(*bolt.Tx) error) error {
	if r := s.Capacity(); r.Share() >= SampleShare {
		return fmt.Errorf("%w: %d of %d MiB", ErrFull, r.Used>>20, r.Limit>>20)
	}
	switch r := s.Capacity(); {
	case r.Preallocated == math.MaxInt64:
		s.makeReserve()
	case r.Preallocated-r.Size < preallocateStep/4:
		s.preallocate()
	}
	err := s.update(s.sampleEnd(), f)
	if errors.Is(err, bolterrors.ErrMaxSizeReached) && s.sampleEnd() == s.space.preallocated {
		s.space.nextPreallocate = time.Time{}
		before := s.space.preallocated
		if why := s.preallocate(); s.space.preallocated == before {
			return fmt.Errorf("no room beyond %d MiB: %w", before>>20, why)
		}
		err = s.update(s.sampleEnd(), f)
	}
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		r := s.Capacity()
		r.Refused = true
		s.space.current.Store(&r)
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// sampleEnd is where the file must end for samples; bbolt keeps format.AllocSize free before it.
func (s *Spool) sampleEnd() int64 {
	share := int64(float64(s.space.limit-format.AllocSize) * SampleShare)
	return min(max(share+format.AllocSize, 2*format.AllocSize), s.space.preallocated)
}

// commitAcks commits f, which frees more than it takes. It may use all there is, and a little more if the limit was
// lowered: a spool that cannot forget cannot drain.
func (s *Spool) commitAcks(f func(*bolt.Tx) error) error {
	end := max(s.space.limit, s.Capacity().Size+2*format.AllocSize)
	err := s.update(end, f)
	if isErrno(err, syscall.ENOSPC) && s.dropReserve() {
		err = s.update(end, f)
	}
	return err
}

// update commits f in a file of at most end bytes and measures what became of it.
func (s *Spool) update(end int64, f func(*bolt.Tx) error) error {
	if s.space.nameErr != nil {
		if s.space.nameErr = durable.SyncDir(filepath.Dir(s.path)); s.space.nameErr != nil {
			return fmt.Errorf("name not durable: %w", s.space.nameErr)
		}
	}
	if s.space.reopenFirst {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	s.db.MaxSize = int(min(end, math.MaxInt))
	err := s.db.Update(f)
	if durable.NothingWritten(err) && !isErrno(err, syscall.ENOSPC) { // others are dealt with by sure
		s.space.reopenFirst = true
	}
	s.measure()
	return err
}

// reopen opens the file anew after a commit that failed in a way that leaves unknown what is on the disk, or by a disk
// that went away: what is mounted now is what counts.
func (s *Spool) reopen() error {
	if _, err := os.Stat(s.path); err != nil {
		return err // an empty mount point is not to become a spool
	}
	s.abandon(false)
	if err := s.open(); err != nil {
		s.abandon(true)
		s.trouble = err
		return fmt.Errorf("open it again: %w", err)
	}
	return nil
}

// noteUncertain notes the numbers that a commit which failed had given. The failure may have come after the last write: then
// the samples are in the file although their commit was no success, and must not be there twice when it is repeated.
func (s *Spool) noteUncertain(records []Record) {
	for _, r := range records {
		if !slices.Contains(s.uncertain, r.Seq) {
			s.uncertain = append(s.uncertain, r.Seq)
		}
	}
}

// measure notes how full the spool is: all of it is in memory already.
func (s *Spool) measure() {
	r := Capacity{Limit: s.space.limit, Preallocated: s.space.preallocated}
	err := s.db.View(func(tx *bolt.Tx) error {
		stats := s.db.Stats()
		r.Size = tx.Size()
		r.Used = r.Size - int64(stats.FreePageN+stats.PendingPageN)*int64(s.db.Info().PageSize)
		return nil
	})
	if err == nil {
		s.space.current.Store(&r)
	}
}

// releasePages keeps the pages of a large file that were read out of our memory: a drain reads all of them once.
func (s *Spool) releasePages() {
	size := s.Capacity().Size
	if s.db == nil || size <= releaseFrom || now().Sub(s.space.released) <= releaseEach {
		return
	}
	s.space.released = now()
	if info, err := s.file.Stat(); err == nil { // what lies behind the mapping is not ours to release
		durable.ReleasePages(s.db.Info().Data, min(size, info.Size()))
	}
}
