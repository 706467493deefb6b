package spool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/durable"
)

func TestSpoolGivesBackWhatItTookInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool", "spool.db")
	s := openSpool(t, path)
	want := fill(t, s, 50)
	s.Close()

	s = openSpool(t, path) // as after a restart
	if s.Waiting() != 50 {
		t.Errorf("%d waiting after reopening, want 50", s.Waiting())
	}
	for i, r := range peek(t, s, 100) {
		if !reflect.DeepEqual(r.Sample, want[i]) {
			t.Fatalf("record %d is %+v, want %+v", i, r.Sample, want[i])
		}
	}
}

func TestSpoolKeepsWhatIsNotSettled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	fill(t, s, 10)
	got := peek(t, s, 4)
	if again := peek(t, s, 4); !slices.Equal(seqs(again), seqs(got)) {
		t.Fatalf("a second look sees %v, the first saw %v", seqs(again), seqs(got))
	}
	poison := Rejection{Seq: got[1].Seq, Code: "ts_too_old", Detail: "no", First: noon, Last: noon}
	if err := s.Settle([]uint64{got[0].Seq, got[2].Seq}, []Rejection{poison}); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle([]uint64{got[0].Seq}, []Rejection{poison}); err != nil { // a lost answer, settled again
		t.Fatal(err)
	}
	s.Close()
	s = openSpool(t, path)
	if s.Waiting() != 7 || s.InQuarantine() != 1 {
		t.Errorf("%d waiting and %d in quarantine, want 7 and 1", s.Waiting(), s.InQuarantine())
	}
	if rest := peek(t, s, 100); len(rest) != 7 || rest[0].Seq != got[3].Seq {
		t.Errorf("%v are left, want 7 from %d on", seqs(rest), got[3].Seq)
	}
	records, reasons, err := s.Quarantined()
	if err != nil || len(records) != 1 || !records[0].Sample.Time.Equal(got[1].Sample.Time) || reasons[0].Code != "ts_too_old" {
		t.Errorf("quarantine holds %+v, %+v, %v", records, reasons, err)
	}
}

func TestSpoolNumbersAreNeverUsedTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	seen := map[uint64]bool{}
	for range 5 {
		fill(t, s, 3)
		for _, r := range peek(t, s, 10) {
			if seen[r.Seq] {
				t.Fatalf("number %d came back", r.Seq)
			}
			seen[r.Seq] = true
			if err := s.Settle([]uint64{r.Seq}, nil); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		s = openSpool(t, path)
	}
}

func TestNoTwoSamplesHaveTheSameTime(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	seen := map[int64]bool{}
	for _, step := range []time.Duration{0, 0, 0, -time.Millisecond, time.Millisecond, 5 * time.Second, -time.Second} {
		sample := sampleAt(noon.Add(step))
		if err := s.Append(&sample, When{Quality: Synced}); err != nil {
			t.Fatal(err)
		}
		if ms := sample.Time.UnixMilli(); seen[ms] {
			t.Errorf("%v was given twice", sample.Time)
		} else {
			seen[ms] = true
		}
	}
	back := sampleAt(noon.Add(-time.Hour)) // the clock was wrong before: the true time stays
	if err := s.Append(&back, When{Quality: Synced}); err != nil || !back.Time.Equal(noon.Add(-time.Hour)) {
		t.Errorf("a sample of an hour before became %v, %v", back.Time, err)
	}
}

func TestDamagedRecordGoesToQuarantineAndHoldsNothingUp(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	fill(t, s, 3)
	err := s.exec(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(format.SamplesBucket)
			v := slices.Clone(b.Get(format.Key(1)))
			v[len(v)-1] ^= 1
			return b.Put(format.Key(1), v)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := peek(t, s, 10); !slices.Equal(seqs(got), []uint64{2, 3}) {
		t.Errorf("Peek gives %v, want 2 and 3", seqs(got))
	}
	if s.Waiting() != 2 || s.InQuarantine() != 1 {
		t.Errorf("%d waiting, %d in quarantine, want 2 and 1", s.Waiting(), s.InQuarantine())
	}
	if _, reasons, err := s.Quarantined(); err != nil || reasons[0].Code != "record_damaged" {
		t.Errorf("quarantine says %+v, %v", reasons, err)
	}
}

func TestSecondInstanceIsRefusedAndFirstUnharmed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	_, err := Open(path)
	f, ok := errors.AsType[*health.Fault](err)
	if !ok || f.Exit != health.ExitBusy {
		t.Fatalf("opening it twice says %v, want a fault with exit status %d", err, health.ExitBusy)
	}
	if want := fmt.Sprintf("process %d", os.Getpid()); durable.LockHolder(path) != " ("+want+")" {
		t.Errorf("the holder is %q, want %q", durable.LockHolder(path), want)
	}
	fill(t, s, 1)
}

func TestSpoolIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	openSpool(t, filepath.Join(dir, "spool.db"))
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "spool.db"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); left != nil {
		t.Errorf("%v is left over", left)
	}
}

func TestSpoolOfNewerVersionIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	s.exec(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			return format.PutNumber(tx.Bucket(format.MetaBucket), format.SchemaKey, format.Schema+1)
		})
	})
	s.Close()
	before, _ := os.ReadFile(path)
	_, err := Open(path)
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "spool_newer" {
		t.Fatalf("opening it says %v", err)
	}
	if after, _ := os.ReadFile(path); !slices.Equal(before, after) {
		t.Error("the file changed")
	}
}

func TestGarbageIsAnErrorNotAPanic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	fill(t, s, 200)
	s.Close()
	whole, _ := os.ReadFile(path)
	random := make([]byte, 1<<16)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for name, bytes := range map[string][]byte{
		"random": random, "truncated": whole[:len(whole)/3], "text": []byte("hello"), "one meta page": whole[:4096],
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "spool.db")
			os.WriteFile(path, bytes, 0o600)
			s, err := Open(path)
			if err == nil { // it opened: then reading must at worst be an error
				_, err = s.Peek(1000, nil)
				t.Logf("opened; Peek says %v", err)
				s.Close()
				return
			}
			if _, ok := errors.AsType[*health.Fault](err); !ok {
				t.Errorf("%v is not a fault that says what to do", err)
			}
		})
	}
}

// A large spool that is closed long after its pages were released last: they go with the file.
func TestLargeSpoolIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
		fill(t, s, 10)
		s.space.current.Store(&Capacity{Size: 2 * releaseFrom})
		time.Sleep(2 * releaseEach)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkSpoolAppend(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "spool.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	i := 0
	for b.Loop() {
		sample := sampleAt(noon.Add(time.Duration(i) * 5 * time.Second))
		if err := s.Append(&sample, When{Quality: Synced}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
