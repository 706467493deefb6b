// Package testhost gives tests what they need of a machine: directories in memory, small disks that may be filled, frozen
// or made read-only, and other users. Only tests import it.
package testhost

import (
	"os"
	"testing"
)

// MemoryDir is a directory where a flush costs nothing, if there is one.
func MemoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sunspool-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
