package spool

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"sunspool/internal/durable"
)

// preallocate allocates blocks beyond the end of the file, so that no other program gets them. A file that grows into
// blocks that it has is cheaper, too: growing is a commit of the filesystem's journal.
func (s *Spool) preallocate() error {
	if now().Before(s.space.nextPreallocate) || s.space.preallocated >= s.space.limit {
		return syscall.ENOSPC
	}
	size := s.Capacity().Size
	var err error
	for _, step := range []int64{preallocateStep, preallocateStep / 4, 2 * format.AllocSize} {
		want := min(roundUp(size+step, format.AllocSize), max(s.space.limit, size))
		if want <= s.space.preallocated {
			break
		}
		err = allocate(s.path, want)
		switch {
		case err == nil:
			s.space.preallocated = want
			return nil
		case errors.Is(err, errors.ErrUnsupported):
			s.space.preallocated = math.MaxInt64
			s.makeReserve()
			return nil
		}
	}
	s.space.nextPreallocate = now().Add(retryEach)
	if info, statErr := os.Stat(s.path); s.space.preallocated == 0 && statErr == nil {
		s.space.preallocated = max(durable.AllocatedBytes(info), size+format.AllocSize)
	}
	return err
}

// allocate preallocates the first size bytes of the file at path, without making it longer.
func allocate(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(durable.Preallocate(f, size), f.Close())
}

// makeReserve fills a file whose only use is its size, if there is space for it twice.
func (s *Spool) makeReserve() {
	if now().Before(s.space.nextReserve) {
		return
	}
	s.space.nextReserve = now().Add(time.Hour)
	if info, err := os.Lstat(files.ReservePath(s.path)); err == nil && info.Size() == files.ReserveBytes {
		return
	}
	if durable.FreeBytes(filepath.Dir(s.path)) < 2*files.ReserveBytes {
		return
	}
	if err := files.Fill(files.ReservePath(s.path), files.ReserveBytes); err != nil {
		os.Remove(files.ReservePath(s.path))
	}
}

// dropReserve deletes the reserve file of a full disk, and reports whether there was one.
func (s *Spool) dropReserve() bool {
	s.space.nextReserve = now().Add(retryEach)
	return os.Remove(files.ReservePath(s.path)) == nil
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
