package api

import (
	"math"

	"golang.org/x/sys/unix"
)

// diskOf returns the size of the disk of dir, and what an ordinary user can still write to it; 0 if it does not answer.
func diskOf(dir string) (size, available int64) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0, 0
	}
	block := uint64(st.Bsize)
	return int64(min(st.Blocks*block, math.MaxInt64)), int64(min(st.Bavail*block, math.MaxInt64))
}
