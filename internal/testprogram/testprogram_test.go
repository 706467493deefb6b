package testprogram

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A program is linked again when its source has changed, and only then. What was built before stays what it was.
func TestProgramIsLinkedOncePerSource(t *testing.T) {
	source, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := func(says string) string {
		t.Helper()
		text := "package main\n\nfunc main() { println(\"" + says + "\") }\n"
		if err := os.WriteFile(filepath.Join(source, "main.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := build(dir, source, "example", "GOFLAGS=")
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	says := func(path, want string) {
		t.Helper()
		if out, err := exec.Command(path).CombinedOutput(); err != nil || string(out) != want+"\n" {
			t.Errorf("it says %q (%v), want %s", out, err, want)
		}
	}
	linked := func() os.FileInfo {
		t.Helper()
		info, err := os.Stat(filepath.Join(dir, "latest"))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}

	first := made("one")
	before := linked()
	if again := made("one"); again != first || !os.SameFile(before, linked()) {
		t.Errorf("the same source was linked twice: %s, %s", first, again)
	}
	second := made("two")
	says(first, "one")
	says(second, "two")

	long := time.Now().Add(-2 * unused)
	if err := os.Chtimes(filepath.Dir(first), long, long); err != nil {
		t.Fatal(err)
	}
	made("two")
	says(second, "two")
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Errorf("what was not used for two days is still there (%v)", err)
	}
	if err := os.WriteFile(filepath.Join(source, "main.go"), []byte("package"), 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := build(dir, source, "example", "GOFLAGS="); err == nil {
		t.Errorf("what does not compile is %s", path)
	}
}
