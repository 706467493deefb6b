package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sunspool/edge/spool/inspect"
	"sunspool/internal/durable"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// beside returns the names of the files of the spool at path, and the first bytes of each.
func beside(t *testing.T, path string) (all []string) {
	t.Helper()
	names, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name == path+".lock" {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %d %.10q", filepath.Base(name), len(b), b))
	}
	return all
}

// A process that has no lock changes nothing beside a spool: another one may be about to use it.
func TestProcessWithoutTheLockTouchesNothing(t *testing.T) {
	for _, has := range []string{"the spool", "its names"} {
		t.Run(has, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "spool.db")
			s := openSpool(t, path)
			fill(t, s, 100)
			s.Close()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{".new", ".salvaged", ".compact", ".damaged-1", ".damaged-3", ".damaged-4", ".exists.new"} {
				if err := os.WriteFile(path+name, b[:len(b)-len(name)], 0o600); err != nil {
					t.Fatal(err)
				}
			}
			locked := path
			if has != "the spool" {
				locked = path + ".lock"
				os.Rename(path, path+".damaged-2") // it has no name for a moment
			}
			before := beside(t, path)
			first, err := os.OpenFile(locked, os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer first.Close()
			if free, err := durable.Lock(first); !free {
				t.Fatal(err)
			}
			_, err = Open(path)
			if faultCode(err) != "spool_locked" || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
				t.Errorf("%v, want that process %d has it", err, os.Getpid())
			}
			if after := beside(t, path); !slices.Equal(after, before) {
				t.Errorf("there is\n%s\nand was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
			}
		})
	}
}

// Several processes that start at once while a spool is missing or damaged, whatever a crash left beside it: one has it,
// and no sample is lost.
func TestStartsAtOnceLoseNothing(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, whole)
	want := fill(t, s, 100)
	s.Close()
	good, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(good)
	clear(bad[:4096])
	for name, files := range map[string]map[string][]byte{
		"damaged":              {"": bad},
		"damaged and salvaged": {"": bad, ".salvaged": good},
		"salvaged":             {".damaged-1": bad, ".salvaged": good},
		"half of a new one":    {"": bad, ".new": good[:9000]},
	} {
		t.Run(name, func(t *testing.T) {
			for range 6 {
				path := filepath.Join(testhost.MemoryDir(t), "spool.db")
				for suffix, b := range files {
					if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				var starts sync.WaitGroup
				var mu sync.Mutex
				var added []wire.Sample
				for range 4 {
					starts.Go(func() {
						s, err := Open(path)
						if err != nil {
							if faultCode(err) != "spool_locked" {
								t.Error(err)
							}
							return
						}
						more := fill(t, s, 1)
						s.Close()
						mu.Lock()
						defer mu.Unlock()
						added = append(added, more...)
					})
				}
				starts.Wait()
				s := openSpool(t, path)
				if got := s.Waiting(); got != len(want)+len(added) || len(added) == 0 {
					t.Fatalf("%d samples wait of %d, %d of them new; %v", got, len(want)+len(added), len(added), beside(t, path))
				}
				s.Close()
			}
		})
	}
}

// A power cut may leave a second name of the spool: through it the disk would keep the large file that was compacted.
func TestSecondNameOfTheSpoolIsRemoved(t *testing.T) {
	for _, name := range []string{".new", ".compact"} {
		path := filepath.Join(t.TempDir(), "spool.db")
		s := openSpool(t, path)
		fill(t, s, 100)
		if err := os.Link(path, path+name); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = openSpool(t, path)
		if _, err := os.Lstat(path + name); !os.IsNotExist(err) {
			t.Errorf("spool.db%s is left: %v", name, err)
		}
		if s.Waiting() != 100 {
			t.Errorf("%d samples of 100 wait", s.Waiting())
		}
	}
}

// A salvaged spool beside one that is whole, as nobody of ours leaves it, may hold what is nowhere else.
func TestSalvagedSpoolBesideAWholeOneIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	fill(t, s, 100)
	s.Close()
	os.Rename(path, path+".salvaged")
	s = openSpool(t, filepath.Join(filepath.Dir(path), "other.db"))
	fill(t, s, 3)
	s.Close()
	os.Rename(filepath.Join(filepath.Dir(path), "other.db"), path)
	s = openSpool(t, path)
	kept, err := inspect.CountUnsent(path + ".unmerged-1")
	if s.Waiting() != 3 || err != nil || kept.Waiting != 100 {
		t.Errorf("%d samples wait, %d are kept, %v", s.Waiting(), kept.Waiting, err)
	}
	if w := s.Opening().Warnings; !slices.ContainsFunc(w, func(w string) bool { return strings.Contains(w, ".unmerged-1") }) {
		t.Errorf("the warnings are %q", w)
	}
}
