package durable

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe that is named in place of a file is written to, and is a pipe afterwards: root may name /dev/null.
func TestDevicesAreNotReplaced(t *testing.T) {
	dir := t.TempDir()
	pipe, link, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link} {
		got := make(chan string, 1)
		go func() {
			text, err := os.ReadFile(pipe)
			if err != nil {
				t.Error(err)
			}
			got <- string(text)
		}()
		err := WriteWhole(path, 0o600, func(f *os.File) error { _, err := io.WriteString(f, "samples"); return err })
		info, gone := os.Lstat(pipe)
		if err != nil || gone != nil || info.Mode().Type() != os.ModeNamedPipe {
			t.Fatalf("%s: %v, %v, %v", path, err, info, gone)
		}
		if text := <-got; text != "samples" {
			t.Errorf("%s: %q came", path, text)
		}
	}
	if err := Replace(pipe, []byte("samples"), 0o600, true); err == nil {
		t.Error("a pipe was replaced")
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/dev/null": true, "/dev/full": true, pipe: true, link: true, file: false, dir: false, filepath.Join(dir, "none"): false} {
		if got := IsStream(path); got != want {
			t.Errorf("%s is a stream: %v", path, got)
		}
	}
	if _, err := os.Stat("/dev/stdout"); err == nil && !IsStream("/dev/stdout") { // even if it is a file: then the link would be replaced
		t.Error("/dev/stdout would be replaced")
	}
}

// What lies in /dev/shm is no device: a health file may be there, and a link in its place is replaced as elsewhere.
func TestLinksInMemoryAreReplaced(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "sunspool-test-")
	if err != nil {
		t.Skip("SKIPPED, NOTHING IS SHOWN: ", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "health.json")
	if err := os.Symlink("/dev/null", path); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("well"), 0o600, false); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "well" {
		t.Errorf("%q, %v", text, err)
	}
}
