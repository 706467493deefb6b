//go:build unix

package testservices

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// smallDisk is a tmpfs of its own: what fills it harms nothing else.
type smallDisk struct{ dir string }

func mountSmallDisk(t testing.TB, dir string, mib int) *smallDisk {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "only root can mount a disk for this test")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0755", mib), "tmpfs", dir).CombinedOutput(); err != nil {
		skip(t, "cannot mount a tmpfs: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %s", dir, out)
		}
	})
	return &smallDisk{dir}
}

// fill takes all that is left.
func (d *smallDisk) fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

func (d *smallDisk) free() { os.Remove(d.filler()) }

func (d *smallDisk) filler() string { return filepath.Join(d.dir, "filler") }
