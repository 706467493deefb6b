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

// Two things limit the spool: the size that is configured, and a disk that other programs fill.
//
//	0            used                 98 %      limit
//	├─────────────┼────────────────────┼──────────┤
//	│  samples    │  free for samples  │ for acks │
//
// Samples are refused from 98 % on. The rest is for Settle: in a file that copies on write even a deletion needs free
// pages. Blocks beyond the end of the file are preallocated, so that a disk filled by others does not stop the drain.
// Where the filesystem cannot do that, as ext3, NFS before 4.2 or any outside of Linux, a reserve file is deleted when its
// space is needed: without it the acks of a batch of 1000 cannot be committed on a full disk, while those of 30 could in each
// of six attempts. On ext4 and tmpfs there is no such file, and preallocation is enough.

const (
	preallocateStep = 16 << 20         // five days of samples, and little on the smallest card
	retryEach       = 10 * time.Second // between attempts to preallocate after one that failed
	SampleShare     = 0.98             // of the limit, for samples
	ScarceFrom      = 0.70             // of it: the inverter is read less often
	releaseFrom     = 16 << 20         // a smaller file may stay in memory
	releaseEach     = time.Second / 4
)

// ErrFull is the error of a spool that has reached its configured size. Nothing is deleted for a new sample.
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

// Capacity is how full the spool is, in bytes.
type Capacity struct {
	Used         int64 // by pages that hold something
	Size         int64 // of the file, as far as it was ever used: Used and what can be reused
	Limit        int64
	Refused      bool  // the last samples did not fit, though a few pages may be free
	Preallocated int64 // from the start of the file; MaxInt64 if the filesystem cannot preallocate
}

// Share is the part of the limit that is used, 0 to about 1. bbolt keeps the last MiB of a file for its next step.
func (r Capacity) Share() float64 {
	share := float64(r.Used) / float64(max(r.Limit-format.AllocSize, 1))
	if r.Refused {
		return max(share, SampleShare)
	}
	return share
}

// scarce reports whether the spool is so full that the inverter is read less often.
func (r Capacity) scarce() bool { return r.Share() >= ScarceFrom }

// capacityState is the size of a Spool, and what is due to change it. The goroutine that owns the file writes it; Capacity
// may be called from any.
type capacityState struct {
	limit           int64
	preallocated    int64
	nextPreallocate time.Time // no attempt to preallocate before
	nextReserve     time.Time // no attempt to make a new one before
	released        time.Time // when mapped pages were released
	reopenFirst     bool      // a commit failed for another reason than lack of space: reopen before the next
	nameErr         error     // the name of the file is not durable, see compact
	current         atomic.Pointer[Capacity]
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

// refresh measures a file that was just opened, and preallocates.
func (s *Spool) refresh() {
	if s.space.limit == 0 {
		s.space.limit = int64(DefaultMB(WordBits)) << 20
	}
	s.space.preallocated, s.space.nextPreallocate, s.space.reopenFirst = 0, time.Time{}, false
	s.measure()
	s.preallocate()
	s.measure()
}

// commitSamples commits f, which adds samples, unless that would take the space that is left for acks.
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

// commitAcks commits f, which frees more than it takes. It may use the whole limit, and a little more if the limit was
// lowered: a spool that cannot delete cannot drain.
func (s *Spool) commitAcks(f func(*bolt.Tx) error) error {
	end := max(s.space.limit, s.Capacity().Size+2*format.AllocSize)
	err := s.update(end, f)
	if isErrno(err, syscall.ENOSPC) && s.dropReserve() {
		err = s.update(end, f)
	}
	return err
}

// update commits f in a file of at most end bytes, and measures the file.
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
	if durable.NothingWritten(err) && !isErrno(err, syscall.ENOSPC) { // other errors are handled by runVerified
		s.space.reopenFirst = true
	}
	s.measure()
	return err
}

// reopen opens the file again after a commit that failed in a way that leaves it unknown what is on the disk, or because
// the disk was removed: what is mounted now is used.
func (s *Spool) reopen() error {
	if _, err := os.Stat(s.path); err != nil {
		return err // an empty mount point must not become a spool
	}
	s.abandon(false)
	if err := s.open(); err != nil {
		s.abandon(true)
		s.trouble = err
		return fmt.Errorf("open it again: %w", err)
	}
	return nil
}

// noteUncertain records the numbers of a commit that failed. If it failed after its last write the samples are in the file
// all the same, and must not be there twice when the commit is repeated.
func (s *Spool) noteUncertain(records []Record) {
	for _, r := range records {
		if !slices.Contains(s.uncertain, r.Seq) {
			s.uncertain = append(s.uncertain, r.Seq)
		}
	}
}

// measure stores how full the spool is. It reads no disk: the numbers are in memory.
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

// releasePages unmaps the pages of a large file that were read: a drain reads all of them once, and they would count as
// memory of this process.
func (s *Spool) releasePages() {
	size := s.Capacity().Size
	if s.db == nil || size <= releaseFrom || now().Sub(s.space.released) <= releaseEach {
		return
	}
	s.space.released = now()
	if info, err := s.file.Stat(); err == nil { // the mapping may be longer than the file
		durable.ReleasePages(s.db.Info().Data, min(size, info.Size()))
	}
}
