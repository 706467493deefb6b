package testhost

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk is a small disk of the test's own: what fills it, freezes it or makes it read-only harms nothing else.
type Disk struct {
	Dir  string
	Loop string // "loop3", "" for a tmpfs
}

// Ext4 mounts a new ext4 of so many MiB. Only root can, so the test is skipped for others.
func Ext4(t testing.TB, mib int, options ...string) Disk {
	t.Helper()
	return NewExt4(t, mib, 0, options...)
}

// NewExt4 is Ext4 with blocks of a size of its own. A memory card has blocks of 4096, which 0 gives to large disks alone.
func NewExt4(t testing.TB, mib, block int, options ...string) Disk {
	t.Helper()
	format := []string{"mkfs.ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0"}
	if block > 0 {
		format = append(format, "-b", strconv.Itoa(block))
	}
	return formatted(t, mib, format, options...)
}

// Ext3 mounts a new ext3 of so many MiB, which cannot preallocate.
func Ext3(t testing.TB, mib int) Disk {
	t.Helper()
	return formatted(t, mib, []string{"mkfs.ext3"})
}

// formatted mounts a new disk of so many MiB that format, a command line of a mkfs.ext, gets.
func formatted(t testing.TB, mib int, format []string, options ...string) Disk {
	t.Helper()
	Need(t, format[0], "losetup", "mount", "umount")
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, int64(mib)<<20); err != nil {
		t.Fatal(err)
	}
	Must(t, format[0], append(format[1:], "-q", "-F", "-m", "0", image)...)
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: no loop device: %s", out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { exec.Command("losetup", "--detach", device).Run() })
	if out, err := exec.Command("mount", "-o", strings.Join(append(options, "noatime"), ","), device, dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: cannot mount: %s", out)
	}
	t.Cleanup(func() { Must(t, "umount", "--lazy", dir) })
	return Disk{dir, filepath.Base(device)}
}

// Tmpfs mounts a tmpfs of so many MiB.
func Tmpfs(t testing.TB, mib int) Disk {
	t.Helper()
	Need(t, "mount", "umount")
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+strconv.Itoa(mib)+"m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: cannot mount: %s", out)
	}
	t.Cleanup(func() { Must(t, "umount", "--lazy", dir) })
	return Disk{Dir: dir}
}

func Need(t testing.TB, tools ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: only root can mount a disk for this test")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED, NOTHING IS SHOWN: %v", err)
		}
	}
}

func Must(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v: %s", name, args, err, out)
	}
}

// Fill takes all that is left of the disk and returns how to give it back.
func (d Disk) Fill(t testing.TB) (release func()) {
	t.Helper()
	path := filepath.Join(d.Dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	f.Sync()
	return func() { os.Remove(path) }
}

// Traffic is what reached the device: bytes and flushes of its cache.
func (d Disk) Traffic(t testing.TB) (bytes, flushes int64) {
	t.Helper()
	f, err := os.Open(d.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/sys/block/" + d.Loop + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	field := strings.Fields(string(text))
	if len(field) < 16 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this kernel does not count flushes")
	}
	sectors, _ := strconv.ParseInt(field[6], 10, 64)
	flushes, _ = strconv.ParseInt(field[15], 10, 64)
	return sectors * 512, flushes
}

// Toll is what a sample costs the device.
type Toll struct{ KB, Flushes float64 }

// Toll runs f, which writes n samples, and returns the price of each.
func (d Disk) Toll(t testing.TB, n int, f func()) Toll {
	bytes, flushes := d.Traffic(t)
	f()
	bytesAfter, flushesAfter := d.Traffic(t)
	return Toll{float64(bytesAfter-bytes) / float64(n) / 1000, float64(flushesAfter-flushes) / float64(n)}
}
