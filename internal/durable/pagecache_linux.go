package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// DropPageCache makes the next read of f read the disk. After a sync that failed the kernel marks pages as clean that
// never reached the disk, and goes on to show them. Pages in use stay.
func DropPageCache(f *os.File) error {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// ReleasePages unmaps the pages of a file mapping that starts at data. They are mapped again when they are read.
func ReleasePages(data uintptr, size int64) {
	unix.Syscall(unix.SYS_MADVISE, data, uintptr(size), unix.MADV_DONTNEED)
}
