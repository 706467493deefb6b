package testservices

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Debian returns a folder with a Debian of that suite and further packages, in a variant that mmdebstrap knows: "apt", or
// "extract" for the files alone. It takes a minute or two and is made once a machine: it stays in the user's cache. It is
// to be mounted read-only below something.
func Debian(t testing.TB, variant, suite string, packages ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "only root can make a Debian to test on")
	}
	mmdebstrap := Need(t, "mmdebstrap", "mmdebstrap")
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	packages = slices.Sorted(slices.Values(packages))
	sum := sha256.Sum256([]byte(strings.Join(packages, " ")))
	name := suite
	if variant != "apt" {
		name += "-" + variant
	}
	dir := filepath.Join(cache, "sunspool", fmt.Sprintf("%s-%x", name, sum[:6]))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil { // another test may be making it
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	t.Logf("making a Debian %s in %s", suite, dir)
	part := dir + ".part"
	os.RemoveAll(part)
	out, err := exec.Command(mmdebstrap, "--quiet", "--variant="+variant, "--include="+strings.Join(packages, ","), suite, part).CombinedOutput()
	if err == nil {
		err = os.Rename(part, dir)
	}
	if err != nil {
		os.RemoveAll(part)
		skip(t, "no Debian %s can be made here: %v\n%s", suite, err, out)
	}
	return dir
}
