package edge

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// fallocate claims the blocks of the first size bytes of f, and leaves its length as it is. The error is
// errors.ErrUnsupported where the filesystem cannot do that.
func fallocate(f *os.File, size int64) error {
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

// releasePages lets the kernel have the pages of a mapping that starts at data back. They are those of a file: whoever
// touches them again gets them again.
func releasePages(data uintptr, size int64) {
	unix.Syscall(unix.SYS_MADVISE, data, uintptr(size), unix.MADV_DONTNEED)
}

// freeBytes is what an ordinary user can still write to the disk of dir.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0
	}
	return int64(min(st.Bavail*uint64(st.Bsize), math.MaxInt64))
}

// blocks is what the file has on the disk.
func blocks(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return 0
}

// bytesWritten is what this process had written to disks since it started, as far as the kernel counts it: without the
// journal of the filesystem.
func bytesWritten() int64 {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			written, _ := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			return written
		}
	}
	return 0
}
