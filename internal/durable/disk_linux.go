package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Preallocate allocates the blocks of the first size bytes of f, and leaves its length as it is. The error is
// errors.ErrUnsupported where the filesystem cannot do that.
func Preallocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EOPNOTSUPP):
			return errors.ErrUnsupported
		case err != nil:
			return fmt.Errorf("claim %d MiB: %w", size>>20, err)
		default:
			return nil
		}
	}
}

// FreeBytes is how much an ordinary user can still write to the disk of dir.
func FreeBytes(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0
	}
	return int64(min(st.Bavail*uint64(st.Bsize), math.MaxInt64))
}

// AllocatedBytes is the size of the blocks that the file has on the disk.
func AllocatedBytes(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return 0
}
