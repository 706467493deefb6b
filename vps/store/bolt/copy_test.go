package bolt

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/internal/race"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func minute(i int) wire.Sample {
	return storetest.At(storetest.Noon.Add(time.Duration(i)*time.Minute), float64(i))
}

// copied is a copy of b in a file of its own.
func copied(t *testing.T, b *Store) string {
	t.Helper()
	var to bytes.Buffer
	size := int64(0)
	if err := b.Copy(t.Context(), func(n int64) io.Writer { size = n; return &to }); err != nil {
		t.Fatal(err)
	}
	if int64(to.Len()) != size {
		t.Errorf("%d bytes of %d", to.Len(), size)
	}
	return written(t, to.Bytes())
}

func written(t *testing.T, file []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What was stored before a copy began is in it; of what is stored meanwhile it has a beginning, each sample once. A store that
// goes on from the copy takes all that edges send again, and has it once.
func TestCopyHasAllOfBeforeAndABeginningOfTheRest(t *testing.T) {
	b := opened(t, t.TempDir())
	devices := []string{"a", "b", "c"}
	var stored [3]atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for d, device := range devices {
		storetest.Insert(t, b, device, 1, minute(0))
		stored[d].Store(1)
		writers.Go(func() {
			for i := 1; ctx.Err() == nil; i++ {
				if _, err := b.Insert(t.Context(), device, []wire.Sample{minute(i)}); err != nil {
					t.Error(err)
					return
				}
				stored[d].Add(1)
			}
		})
	}
	var last string
	for round := range int64(5) {
		var before [3]int
		for d := range devices {
			for stored[d].Load() < 30*round && !t.Failed() {
				runtime.Gosched()
			}
			before[d] = int(stored[d].Load())
		}
		last = copied(t, b)
		content, err := Verify(t.Context(), last)
		if err != nil || content.DamagedRows > 0 || len(content.Devices) != len(devices) {
			t.Fatalf("%+v, %v", content, err)
		}
		for d, h := range content.Devices {
			most := int(stored[d].Load()) + 1
			if h.Device != devices[d] || h.Samples < before[d] || h.Samples > most || !h.First.Equal(storetest.Noon) || !h.Last.Equal(minute(h.Samples-1).Time) {
				t.Errorf("%+v, stored were %d to %d", h, before[d], most)
			}
		}
	}
	stop()
	writers.Wait()

	restored, err := Open(last)
	if err != nil {
		t.Fatal(err)
	}
	for d, device := range devices {
		var all []wire.Sample
		for i := range int(stored[d].Load()) {
			all = append(all, minute(i))
		}
		if _, err := restored.Insert(t.Context(), device, all); err != nil {
			t.Error(err)
		}
	}
	restored.Close()
	content, err := Verify(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	for d, h := range content.Devices {
		if h.Samples != int(stored[d].Load()) {
			t.Errorf("%s has %d samples, %d were produced", h.Device, h.Samples, stored[d].Load())
		}
	}
}

// slowly takes some time for what it is given, until it is told to hurry.
type slowly struct{ hurry chan struct{} }

func (s slowly) Write(p []byte) (int, error) {
	select {
	case <-s.hurry:
	case <-time.After(2 * time.Second): // a busy machine may take half a minute for the insert beside it
	}
	return len(p), nil
}

func TestSlowCopyIsGivenUpWhenTheFileHasToGrow(t *testing.T) {
	b := opened(t, t.TempDir())
	r := rand.New(rand.NewPCG(1, 1))
	storetest.Insert(t, b, "a", 2000, storetest.Random(r, storetest.Noon, 24*time.Hour, 2000)...)
	stored, to := make(chan error, 1), slowly{make(chan struct{})}
	err := b.Copy(t.Context(), func(int64) io.Writer {
		go func() {
			_, err := b.Insert(t.Context(), "b", storetest.Random(r, storetest.Noon, 10*24*time.Hour, 8000))
			stored <- err
			close(to.hurry)
		}()
		return to
	})
	if !errors.Is(err, store.ErrCopyInWay) {
		t.Errorf("%v", err)
	}
	if err := <-stored; err != nil {
		t.Error(err)
	}
	copied(t, b)
}

func TestCopyEndsWithItsStoreAndItsReader(t *testing.T) {
	b := open(t, t.TempDir())
	storetest.Insert(t, b, "a", 1, minute(0))
	cut := errors.New("the reader is gone")
	if err := b.Copy(t.Context(), func(int64) io.Writer { return failing{cut} }); !errors.Is(err, cut) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cut)
	if err := b.Copy(ctx, func(int64) io.Writer { return io.Discard }); !errors.Is(err, cut) {
		t.Errorf("%v", err)
	}
	b.Close()
	if err := b.Copy(t.Context(), func(int64) io.Writer { return io.Discard }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("%v", err)
	}
	size := int64(0)
	if err := CopyClosed(t.Context(), b.path, func(n int64) io.Writer { size = n; return io.Discard }); err != nil || size == 0 {
		t.Errorf("%d, %v", size, err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// A file that is verified has every row, whatever was done to it; and nothing that was done to it ends the program.
func TestVerifyFindsDamage(t *testing.T) {
	race.Skip(t, "one goroutine reads spoiled files")
	b := open(t, t.TempDir())
	for i, device := range []string{"a", "b", "c"} {
		storetest.Insert(t, b, device, 1000, storetest.Random(rand.New(rand.NewPCG(1, uint64(i))), storetest.Noon, 100*24*time.Hour, 1000)...)
	}
	storetest.Insert(t, b, "single", 1, minute(0)) // its buckets are inside their page
	whole := read(t, copied(t, b))
	b.Close()
	verify := func(file []byte) (Content, error) {
		t.Helper()
		path := written(t, file)
		c, err := Verify(t.Context(), path)
		if err == nil {
			err = c.ErrOf(path)
		}
		if !bytes.Equal(read(t, path), file) {
			t.Error("the file was changed")
		}
		return c, err
	}
	good, err := verify(whole)
	if err != nil || len(good.Devices) != 4 || good.Devices[0].Samples != 1000 || good.Bytes != int64(len(whole)) {
		t.Fatalf("%+v, %v", good, err)
	}
	for what, file := range map[string][]byte{"nothing": nil, "a text": []byte(strings.Repeat("no store at all\n", 10_000)), "a byte less": whole[:len(whole)-1],
		"half": whole[:len(whole)/2], "two pages": whole[:8192]} {
		if _, err := verify(file); err == nil {
			t.Errorf("%s is verified", what)
		} else if f := fault(t, err); f.Code != damagedCode {
			t.Errorf("%s: %v", what, f)
		}
	}
	r := rand.New(rand.NewPCG(3, 3))
	found := 0
	for range 150 {
		file := bytes.Clone(whole)
		page := 8192 + r.IntN(len(file)/4096-2)*4096
		switch r.IntN(4) {
		case 0:
			file[page+r.IntN(16)] ^= 1 << r.IntN(8) // of its header
		case 1:
			file[page+16+r.IntN(64)] ^= 1 << r.IntN(8) // of its first elements
		case 2:
			copy(file[page:][:4096], file[8192+r.IntN(len(file)/4096-2)*4096:])
		default:
			file[page+r.IntN(4096)] ^= 1 << r.IntN(8)
		}
		c, err := verify(file)
		if err != nil {
			found++
			continue
		}
		for i, h := range good.Devices {
			if len(c.Devices) != len(good.Devices) || c.Devices[i] != h {
				t.Fatalf("verified as %+v, which are %+v", c.Devices, good.Devices)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d of 150 were found", found)
	}
}

// The golden file has pruned, pending and set aside samples, tokens and sites.
func TestVerifyTakesTheGoldenFile(t *testing.T) {
	packed, err := os.Open("../testdata/golden/vps.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	path := written(t, file)
	c, err := Verify(t.Context(), path)
	if err != nil || c.ErrOf(path) != nil || len(c.Devices) == 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestVerifyTakesFilesOfEarlierVersions(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	storetest.Insert(t, b, "a", 100, storetest.Random(rand.New(rand.NewPCG(1, 1)), storetest.Noon, 24*time.Hour, 100)...)
	b.Close()
	asSchema1(t, b.path)
	before := read(t, b.path)
	c, err := Verify(t.Context(), b.path)
	if err != nil || c.ErrOf(b.path) != nil || c.Schema != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if !bytes.Equal(read(t, b.path), before) {
		t.Error("the file was brought to this version")
	}
	db, err := bbolt.Open(b.path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := Verify(t.Context(), b.path); fault(t, err).Code != "store_locked" {
		t.Errorf("beside its server: %v", err)
	}
}
