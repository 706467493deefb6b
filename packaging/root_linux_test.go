package packaging

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

	"sunspool/vps/services"
)

// debian returns a folder with a Debian of that suite and further packages, to be mounted read-only below something. It
// takes a minute or two and is made once a machine: it stays in the user's cache.
func debian(t testing.TB, suite string, packages ...string) string {
	t.Helper()
	return bootstrap(t, "apt", suite, packages...)
}

// unpacked returns a folder with nothing but the files of packages of a suite and of what they need, for programs that
// run on another Debian too.
func unpacked(t testing.TB, suite string, packages ...string) string {
	t.Helper()
	return bootstrap(t, "extract", suite, packages...)
}

// bootstrap makes a folder of a variant that mmdebstrap knows.
func bootstrap(t testing.TB, variant, suite string, packages ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: only root can make a Debian to test on")
	}
	mmdebstrap := services.Need(t, "mmdebstrap", "mmdebstrap")
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
		t.Skipf("SKIPPED, NOTHING IS SHOWN: no Debian %s can be made here: %v\n%s", suite, err, out)
	}
	return dir
}
