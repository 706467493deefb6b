// Package testprogram builds the program for the tests that start it. It is linked once for all test processes, and again
// when its source has changed.
//
//	             go build                         hard link
//	source ─────────────────> linux-amd64/latest ───────────> linux-amd64/SHA-256/sunspool ──> tests
//	         unless up to date
package testprogram

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"sunspool/internal/durable"
)

// Version is what the program says it is.
const Version = "1.2.3"

// Path returns the path of the program for this machine, built as a release is.
func Path(t testing.TB) string {
	t.Helper()
	return For(t, runtime.GOOS, runtime.GOARCH, "")
}

var builds sync.Map // target ──> func() (string, error)

// For returns the path of the program for another operating system or processor. goarm is for arm alone.
func For(t testing.TB, goos, goarch, goarm string) string {
	t.Helper()
	name := goos + "-" + goarch + goarm
	once, _ := builds.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		return build(filepath.Join(cache, "sunspool-test", "program", name), "", "sunspool", "GOOS="+goos, "GOARCH="+goarch, "GOARM="+goarm)
	}))
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatalf("build the program for %s: %v", name, err)
	}
	return path
}

// unused is how long a program is kept that nothing asks for.
const unused = 24 * time.Hour

// build builds pkg, as seen from the directory from, and returns a path below dir that has this very program as long as it
// is in use, whatever others build meanwhile.
func build(dir, from, pkg string, env ...string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	for {
		free, err := durable.Lock(lock)
		if err != nil {
			return "", err
		}
		if free {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}

	// The go command links only if what is there was made of something else.
	latest := filepath.Join(dir, "latest")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "nopgxregisterdefaulttypes", "-ldflags", "-s -w -X main.version="+Version, "-o", latest, pkg)
	cmd.Dir, cmd.Env = from, append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	sum, err := sumOf(latest)
	if err != nil {
		return "", err
	}
	if err := removeUnused(dir); err != nil {
		return "", err
	}
	own := filepath.Join(dir, sum)
	path := filepath.Join(own, "sunspool")
	if err := os.MkdirAll(own, 0o755); err != nil {
		return "", err
	}
	if err := os.Link(latest, path); err != nil && !os.IsExist(err) {
		return "", err
	}
	now := time.Now()
	return path, os.Chtimes(own, now, now)
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%.8x", h.Sum(nil)), nil
}

func removeUnused(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if e.IsDir() && time.Since(info.ModTime()) > unused {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
