package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// folder is where this test binary builds what it tests.
var folder = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "sunspool-packaging-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := folder(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// target is a processor that the program is built for. goarm is for arm alone.
type target struct{ goarch, goarm string }

func (p target) String() string {
	if p.goarm != "" {
		return p.goarch + "v" + p.goarm
	}
	return p.goarch
}

var built sync.Map // target ──> func() (string, error)

// program builds the program for p as a release does, once, and returns its path.
func program(t testing.TB, p target) string {
	t.Helper()
	build, _ := built.LoadOrStore(p, sync.OnceValues(func() (string, error) {
		dir, err := folder()
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, p.String(), "sunspool")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.2.3", "-o", path, "sunspool")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+p.goarch, "GOARM="+p.goarm)
		cmd.Stderr = os.Stderr
		return path, cmd.Run()
	}))
	path, err := build.(func() (string, error))()
	if err != nil {
		t.Fatalf("build for %s: %v", p, err)
	}
	return path
}
