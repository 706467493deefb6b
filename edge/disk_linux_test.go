package edge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a small disk of the test's own: what fills it, freezes it or makes it read-only harms nobody.
type disk struct {
	dir  string
	loop string // "loop3", "" for a tmpfs
}

// ext4 mounts a new ext4 of so many MiB. Only root can, so the test is skipped for others.
func ext4(t testing.TB, mib int, options ...string) disk {
	t.Helper()
	return newExt4(t, mib, 0, options...)
}

// newExt4 is ext4 with blocks of a size of its own. A memory card has blocks of 4096, which 0 gives to large disks alone.
func newExt4(t testing.TB, mib, block int, options ...string) disk {
	t.Helper()
	need(t, "mkfs.ext4", "losetup", "mount", "umount")
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, int64(mib)<<20); err != nil {
		t.Fatal(err)
	}
	format := []string{"-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"}
	if block > 0 {
		format = append(format, "-b", strconv.Itoa(block))
	}
	must(t, "mkfs.ext4", append(format, image)...)
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: no loop device: %s", out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { exec.Command("losetup", "--detach", device).Run() })
	if out, err := exec.Command("mount", "-o", strings.Join(append(options, "noatime"), ","), device, dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: cannot mount: %s", out)
	}
	t.Cleanup(func() { must(t, "umount", "--lazy", dir) })
	return disk{dir, filepath.Base(device)}
}

// tmpfs mounts a tmpfs of so many MiB.
func tmpfs(t testing.TB, mib int) disk {
	t.Helper()
	need(t, "mount", "umount")
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+strconv.Itoa(mib)+"m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: cannot mount: %s", out)
	}
	t.Cleanup(func() { must(t, "umount", "--lazy", dir) })
	return disk{dir: dir}
}

func need(t testing.TB, tools ...string) {
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

func must(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v: %s", name, args, err, out)
	}
}

// fill takes all that is left of the disk and returns how to give it back.
func (d disk) fill(t testing.TB) (release func()) {
	t.Helper()
	path := filepath.Join(d.dir, "filler")
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

// traffic is what reached the device: bytes and flushes of its cache.
func (d disk) traffic(t testing.TB) (bytes, flushes int64) {
	t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/sys/block/" + d.loop + "/stat")
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
