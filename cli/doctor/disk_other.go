//go:build !linux

package doctor

import (
	"os"

	"sunspool/internal/durable"
)

// diskOf describes the filesystem of a path, as far as it can be known on this system.
func diskOf(path string) (Disk, error) {
	_, err := os.Stat(path)
	free := uint64(durable.FreeBytes(path))
	return Disk{Mount: path, Free: free, Size: free}, err
}
