package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/internal/testhost"
)

// unit is what an edge keeps of an inverter.
type unit struct {
	Serial string
	Type   uint16
	Other  string
	Since  time.Time
}

func noteOf(s *Spool, device string) (u unit, err error) {
	err = s.ReadNote("inverter/"+device, &u)
	return u, err
}

func TestNoteOutlivesWhatHappensToASpool(t *testing.T) {
	roof := unit{Serial: "A2212345678", Type: 0x0D18, Other: "A2299999999", Since: noon}
	barn := unit{Serial: "A2187654321", Type: 0x2603}
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	s := drained(t, path, 3000, 10)
	for device, id := range map[string]unit{"roof": roof, "barn": barn} {
		if err := s.WriteNote("inverter/"+device, id); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		for device, want := range map[string]unit{"roof": roof, "barn": barn, "attic": {}} {
			if got, err := noteOf(s, device); err != nil || got != want {
				t.Errorf("%s: %s is %+v, %v", when, device, got, err)
			}
		}
	}
	reopen := func() {
		t.Helper()
		s.Close()
		s = openSpool(t, path)
	}
	check("at once")
	reopen()
	check("after a restart")
	if err := s.exec(s.compact); err != nil {
		t.Fatal(err)
	}
	check("after a compaction")

	waiting := peek(t, s, 1)[0]
	record := waiting.Encode()
	s.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, record)
	b[at+len(record)-3] ^= 4
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, path)
	if s.Opening().Aside == "" {
		t.Fatal("the spool was not salvaged: the test tests nothing")
	}
	check("after a salvage")
}

// A bit that flips in a note does not make another one of it: our own inverter would become a stranger.
func TestDamagedNoteIsNone(t *testing.T) {
	s := openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db"))
	if err := s.WriteNote("inverter/roof", unit{Serial: "A2212345678"}); err != nil {
		t.Fatal(err)
	}
	err := s.exec(func() error {
		return s.commitAcks(func(tx *bolt.Tx) error {
			value := bytes.Clone(tx.Bucket(format.MetaBucket).Get([]byte("inverter/roof")))
			value[len(value)-4] ^= 1
			return tx.Bucket(format.MetaBucket).Put([]byte("inverter/roof"), value)
		})
	})
	if id, err2 := noteOf(s, "roof"); err != nil || err2 != nil || id != (unit{}) {
		t.Errorf("%+v, %v, %v", id, err, err2)
	}
}

// The last touch is stored with a sample and stays when the sample has left, for programs of the same boot.
func TestLastTouchIsStoredWithTheSample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	if got := s.LastTouch("one"); got != 0 {
		t.Errorf("a new spool has %v", got)
	}
	for i, c := range []struct {
		boot    string
		touched time.Duration
		want    map[string]time.Duration
	}{
		{"one", 0, map[string]time.Duration{"one": 0, "two": 0, "": 0}},
		{"one", 100 * time.Second, map[string]time.Duration{"one": 100 * time.Second, "two": 0, "": 0}},
		{"one", 105 * time.Second, map[string]time.Duration{"one": 105 * time.Second, "two": 0}},
		{"two", 50 * time.Second, map[string]time.Duration{"two": 50 * time.Second, "one": 0}},
		{"two", 0, map[string]time.Duration{"two": 50 * time.Second}},
	} {
		for _, quality := range []Quality{Synced, Undated} {
			sample := sampleAt(noon.Add(time.Duration(i) * 5 * time.Second))
			if err := s.Append(&sample, When{Quality: quality, BootID: c.boot, Touched: c.touched}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Settle([]uint64{uint64(2*i + 1), uint64(2*i + 2)}, nil); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = openSpool(t, path)
		for boot, want := range c.want {
			if got := s.LastTouch(boot); got != want {
				t.Errorf("after sample %d the last touch of boot %q is %v, want %v", i, boot, got, want)
			}
		}
	}
}
