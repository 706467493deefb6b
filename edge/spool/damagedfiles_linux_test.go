package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sunspool/edge/spool/files"
	"sunspool/internal/testhost"
)

// spoil makes the spool at path one that must be salvaged.
func spoil(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[:8192])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// damagedBeside returns the numbers of the damaged spools that were kept, the newest first.
func damagedBeside(t *testing.T, path string) (all []int) {
	t.Helper()
	names, err := filepath.Glob(path + ".damaged-[1-9]")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Backward(names) {
		all = append(all, int(name[len(name)-1]-'0'))
	}
	return all
}

// A card that damages the spool again and again does not fill itself with damaged spools.
func TestNewestTwoDamagedSpoolsAreKept(t *testing.T) {
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	others := []string{path + ".unmerged-1", path + ".damaged-x", path + ".damaged-01", path + ".damaged-1.new", filepath.Join(filepath.Dir(path), "garage.db.damaged-1")}
	for _, other := range others {
		if err := os.WriteFile(other, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	samples := 0
	var kept [][]byte
	for n := range 5 {
		s := openSpool(t, path)
		fill(t, s, 10)
		samples += 10
		s.Close()
		kept = append(kept, spoil(t, path))
		s = openSpool(t, path)
		if s.Waiting() != samples {
			t.Fatalf("%d of %d samples wait", s.Waiting(), samples)
		}
		all := damagedBeside(t, path)
		if len(all) != min(n+1, 2) {
			t.Fatalf("after %d there are %v", n+1, all)
		}
		total := int64(0)
		for i, number := range all {
			b, _ := os.ReadFile(fmt.Sprintf("%s.damaged-%d", path, number))
			if !bytes.Equal(b, kept[n-i]) || number != n+1-i {
				t.Errorf("%d is not the one before %d", number, i)
			}
			total += int64(len(b))
		}
		if s.DamagedBytes() != total {
			t.Errorf("%d bytes, want %d", s.DamagedBytes(), total)
		}
		if w := s.Opening().Warnings; n >= 2 && !slices.ContainsFunc(w, func(w string) bool { return strings.HasSuffix(w, fmt.Sprintf("spool.db.damaged-%d", n-1)) }) {
			t.Errorf("the warnings are %q", w)
		}
		s.Close()
	}
	for _, other := range others {
		if _, err := os.Stat(other); err != nil {
			t.Error(err)
		}
	}
}

// Older damaged spools stay as long as the new one is not whole: here there is no room for it.
func TestDamagedSpoolsStayUntilTheNewOneIsWhole(t *testing.T) {
	d := testhost.Ext4(t, 64)
	path := filepath.Join(d.Dir, "spool.db")
	s := openSpool(t, path)
	for i := range 50 {
		appendGroup(t, s, 500*i, 500)
	}
	waiting := s.Waiting()
	s.Close()
	for n := range 3 {
		if err := os.WriteFile(fmt.Sprintf("%s.damaged-%d", path, n+1), make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoil(t, path)
	release := d.Fill(t)
	s, err := Start(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := WriteFault(s.Closed())
	if f.Code != "disk_full" {
		t.Errorf("it is called %s: %v", f.Code, f)
	}
	if all := damagedBeside(t, path); len(all) != 3 {
		t.Errorf("there are %+v", all)
	}
	release()
	s.Hurry()
	if err := s.Available(); err != nil || s.Waiting() != waiting {
		t.Errorf("%d of %d samples wait, %v", s.Waiting(), waiting, err)
	}
	if all := damagedBeside(t, path); !slices.Equal(all, []int{4, 3}) {
		t.Errorf("there are %+v", all)
	}
}

// The reserve and an unfinished copy make room for a salvage.
func TestSalvageTakesTheReserve(t *testing.T) {
	d := testhost.Ext4(t, 64)
	path := filepath.Join(d.Dir, "spool.db")
	s := openSpool(t, path)
	for i := range 20 {
		appendGroup(t, s, 500*i, 500)
	}
	waiting := s.Waiting()
	s.Close()
	spoil(t, path)
	if err := files.Fill(files.ReservePath(path), files.ReserveBytes); err != nil {
		t.Fatal(err)
	}
	d.Fill(t)
	s = openSpool(t, path)
	if s.Waiting() != waiting {
		t.Errorf("%d of %d samples wait", s.Waiting(), waiting)
	}
}

func TestFullDiskNamesDamagedSpools(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	if f := WriteFault(&Error{path, syscall.ENOSPC}); strings.Contains(f.Next, "damaged") {
		t.Errorf("there are none: %s", f.Next)
	}
	if err := os.WriteFile(path+".damaged-7", make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if f := WriteFault(&Error{path, errors.Join(syscall.ENOSPC)}); !strings.Contains(f.Next, "take 3 MiB") {
		t.Errorf("the next step is %s", f.Next)
	}
}
