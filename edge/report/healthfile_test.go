package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// healthText is the n-th content of a health file: as long as size, and of n from its beginning to its end.
func healthText(n, size int) []byte {
	head, tail := fmt.Sprintf(`{"n": %d, "filler": "`, n), fmt.Sprintf(`", "end": %d}`+"\n", n)
	return []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
}

// oneText complains unless text is one whole content, and returns which.
func oneText(t *testing.T, text []byte) int {
	t.Helper()
	var c struct{ N, End int }
	if err := json.Unmarshal(text, &c); err != nil || c.N != c.End || !strings.HasSuffix(string(text), "\n") {
		t.Fatalf("%v, begins as number %d and ends as number %d: %.60q", err, c.N, c.End, text)
	}
	return c.N
}

// Readers that take their time, and are overtaken by any number of writes, read what they opened.
func TestSlowReaderOfTheHealthFileSeesOneText(t *testing.T) {
	f := healthFile{path: filepath.Join(t.TempDir(), "health.json")}
	type reader struct {
		n    int
		file *os.File
		text []byte
	}
	var readers []reader
	for n := range 20 {
		if err := f.write(healthText(n, 3000+n%7)); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(f.path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		half := make([]byte, 1500)
		if _, err := io.ReadFull(file, half); err != nil {
			t.Fatal(err)
		}
		if n%4 != 3 { // one in four goes away: its file may be written again
			readers = append(readers, reader{n, file, half})
		} else {
			file.Close()
		}
		if n%5 == 0 { // another name for it is as good as a reader
			if err := os.Link(f.path, fmt.Sprint(f.path, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range readers {
		rest, err := io.ReadAll(r.file)
		if err != nil {
			t.Fatal(err)
		}
		if n := oneText(t, append(r.text, rest...)); n != r.n {
			t.Errorf("who opened number %d read number %d", r.n, n)
		}
	}
	for n := 0; n < 20; n += 5 {
		text, err := os.ReadFile(fmt.Sprint(f.path, n))
		if err != nil || oneText(t, text) != n {
			t.Errorf("the other name of number %d has changed: %v", n, err)
		}
	}
}

// Readers that come at any time.
func TestEveryReaderOfTheHealthFileSeesOneText(t *testing.T) {
	f := healthFile{path: filepath.Join(t.TempDir(), "health.json")}
	if err := f.write(healthText(0, 3000)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for last := 0; ; {
				text, err := os.ReadFile(f.path)
				if err != nil {
					t.Error(err)
					return
				}
				var c struct{ N, End int }
				if err := json.Unmarshal(text, &c); err != nil || c.N != c.End || c.N < last {
					t.Errorf("%v, begins as number %d and ends as number %d after number %d", err, c.N, c.End, last)
					return
				}
				last = c.N
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for n := range 1000 {
		if err := f.write(healthText(n, 2000+n*7%2000)); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	readers.Wait()
}

// What lies on a memory card keeps its file, and its length.
func TestHealthFileIsWrittenInPlace(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: elsewhere each text gets a file of its own")
	}
	f := healthFile{path: filepath.Join(t.TempDir(), "health.json")}
	write := func(n, size int) os.FileInfo {
		t.Helper()
		if err := f.write(healthText(n, size)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(f.path)
		if err != nil || oneText(t, text) != n {
			t.Fatalf("number %d was not written: %v", n, err)
		}
		info, err := os.Lstat(f.path)
		if err != nil || info.Mode() != 0o644 {
			t.Fatalf("it has mode %v, %v", info.Mode(), err)
		}
		return info
	}
	first := write(0, 3000)
	for n := 1; n < 100; n++ {
		if info := write(n, 3000+n%7); !os.SameFile(info, first) || info.Size() < 3000 || info.Size() > 3006 {
			t.Fatalf("write %d made another file, or one of %d bytes", n, info.Size())
		}
	}
	if info := write(100, inPlace+1); os.SameFile(info, first) {
		t.Error("a text of more than a page was written in place")
	}
	if info := write(101, 3000); info.Size() != 3000 {
		t.Errorf("after a longer text the file has %d bytes", info.Size())
	}
}

// Whatever becomes of the file, the next write is good.
func TestHealthFileIsWrittenWhateverIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "health.json")
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, disturb := range map[string]func(){
		"nothing":                   func() {},
		"removed":                   func() { must(os.Remove(path)) },
		"another file":              func() { must(os.WriteFile(path+".x", []byte("x"), 0o600)); must(os.Rename(path+".x", path)) },
		"a file that is left over":  func() { must(os.Remove(path)); must(os.WriteFile(path+".new", []byte("x"), 0o600)) },
		"emptied":                   func() { must(os.Truncate(path, 0)) },
		"made longer":               func() { must(os.Truncate(path, 10000)) },
		"a link":                    func() { must(os.Remove(path)); must(os.Symlink("/dev/null", path)) },
		"its mode changed":          func() { must(os.Chmod(path, 0o600)) },
		"an empty folder left over": func() { must(os.Remove(path)); must(os.MkdirAll(path+".new", 0o700)) },
	} {
		f := healthFile{path: path}
		n := 0
		write := func() {
			t.Helper()
			n++
			if err := f.write(healthText(n, 3000)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			text, err := os.ReadFile(path)
			if err != nil || oneText(t, text) != n {
				t.Fatalf("%s: number %d was not written: %v", name, n, err)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode() != 0o644 {
				t.Fatalf("%s: %v, %v", name, info.Mode(), err)
			}
		}
		for range 4 {
			write()
			write()
			disturb()
		}
		write()
		write()
	}

	f := healthFile{path: filepath.Join(t.TempDir(), "health.json")}
	must(os.MkdirAll(filepath.Join(f.path, "in the way"), 0o700))
	for range 3 {
		if err := f.write(healthText(1, 3000)); err == nil {
			t.Fatal("a folder in the place of the file is no error")
		}
	}
	must(os.RemoveAll(f.path))
	must(f.write(healthText(1, 3000)))
}
