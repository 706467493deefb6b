package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/health"
	"sunspool/internal/race"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func TestFileIsForItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "sunspool")
	b := opened(t, dir)
	for path, want := range map[string]fs.FileMode{dir: 0o700, b.path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("creation left %v", left)
	}
}

func TestSecondProcessIsToldWhoHoldsTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := opened(t, dir)
	_, err := Open(b.path)
	f := fault(t, err)
	if f.Exit != health.ExitBusy || !strings.Contains(f.Error(), fmt.Sprintf("another sunspool vps holds %s (process %d)", b.path, os.Getpid())) {
		t.Errorf("exit %d: %v", f.Exit, f)
	}
	storetest.Insert(t, b, "a", 1, storetest.At(storetest.Noon, 1))
}

// Of processes that start at once on an empty directory, each in the end sees the same file.
func TestCreationRaceHasOneWinner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := createFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeFile(path); err != nil { // the latecomer that did not see the file yet
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("a file in use was replaced: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("creation left %v", left)
	}
}

func TestDamagedFileSaysWhatToDo(t *testing.T) {
	race.Skip(t, "one goroutine reads spoiled files")
	dir := t.TempDir()
	b := open(t, dir)
	for i, device := range []string{"a", "b", "c"} {
		storetest.Insert(t, b, device, 2000, storetest.Random(rand.New(rand.NewPCG(1, uint64(i))), storetest.Noon, 100*24*time.Hour, 2000)...)
	}
	b.Close()
	whole := read(t, b.path)
	used := len(whole)
	for used > 0 && whole[used-1] == 0 { // the rest was allocated ahead
		used--
	}
	r := rand.New(rand.NewPCG(2, 2))

	try := func(what string, file []byte, mustFail bool) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Open(path)
		if err != nil {
			if f := fault(t, err); f.Code != damagedCode {
				t.Errorf("%s: %v, code %s", what, f, f.Code)
			}
			return
		}
		defer b.Close()
		if mustFail {
			t.Errorf("%s: opened", what)
		}
		for _, device := range []string{"a", "b", "c"} { // an answer or an error, never a panic
			_, _ = b.Latest(t.Context(), device)
			_, _ = b.Periods(t.Context(), store.Query{Device: device, Resolution: store.Hour})
			_, err := b.Insert(t.Context(), device, storetest.Random(r, storetest.Noon, 100*24*time.Hour, 50))
			if err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: insert: %v", what, err)
			}
		}
	}
	try("empty", nil, true)
	try("a text", []byte("hello, this is not a database"), true)
	try("a long text", []byte(strings.Repeat("hello, this is not a database\n", 10_000)), true)
	for _, n := range []int{1, 511, 4096, 8191, 8192, 12288, used / 2 / 4096 * 4096, used/4096*4096 - 4096} {
		try("cut", whole[:n], true)
	}
	for range 25 {
		file := append([]byte(nil), whole...)
		page := r.IntN(used/4096) * 4096
		switch r.IntN(3) {
		case 0:
			clear(file[page:][:4096])
		case 1:
			copy(file[page:][:4096], file[r.IntN(used/4096)*4096:])
		default:
			for range 20 {
				file[page+r.IntN(4096)] ^= 1 << r.IntN(8)
			}
		}
		try("a damaged page", file, false)
	}
	both := append([]byte(nil), whole...)
	clear(both[:8192])
	try("no meta page", both, true)
}

func TestForeignFileIsNotTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("spool")); return err }); err != nil {
		t.Fatal(err)
	}
	db.Close()
	before := read(t, path)
	_, err = Open(path)
	if f := fault(t, err); !strings.Contains(f.Why, "not one of a sunspool vps") {
		t.Error(f)
	}
	if string(read(t, path)) != string(before) {
		t.Error("the file was changed")
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	if fileSchema == 3 && len(wire.Fields) != 13 {
		t.Error("the fields of a sample have grown, raise the schema")
	}
	b := open(t, t.TempDir())
	if err := b.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(schemaKey, []byte("4")) }); err != nil {
		t.Fatal(err)
	}
	b.Close()
	_, err := Open(b.path)
	if f := fault(t, err); f.Code != "store_newer" || !strings.Contains(f.Why, "schema is 4") {
		t.Error(f)
	}
}

func TestUnwritablePlaceSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(file, "store.db"), filepath.Dir(file)} {
		_, err := Open(path)
		if f := fault(t, err); f.Exit != health.ExitConfig {
			t.Errorf("exit %d: %v", f.Exit, f)
		}
	}
}
