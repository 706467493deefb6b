package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropPageCache makes the system read the file from the disk again. After a failed flush Linux marks pages as clean that
// never reached the disk, and would go on to show them. Best effort: pages in use stay.
func dropPageCache(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
