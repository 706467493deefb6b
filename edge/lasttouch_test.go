package edge

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/testhost"
)

// The last touch is stored with a sample and stays when the sample has left, for programs of the same boot.
func TestLastTouchIsStoredWithTheSample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	if got := s.lastTouch("one"); got != 0 {
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
			if err := s.Append(&sample, When{Quality: quality, id: c.boot, touched: c.touched}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Settle([]uint64{uint64(2*i + 1), uint64(2*i + 2)}, nil); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = openSpool(t, path)
		for boot, want := range c.want {
			if got := s.lastTouch(boot); got != want {
				t.Errorf("after sample %d the last touch of boot %q is %v, want %v", i, boot, got, want)
			}
		}
	}
}

// An edge that is killed every few seconds, often before its first poll, polls on, and never too soon. Without the touches
// in the spool it would make 29 polls.
func TestKilledEdgeKeepsThePace(t *testing.T) {
	dir := testhost.MemoryDir(t)
	file := filepath.Join(dir, "spool.db.last-poll")
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, dir)
		rng := rand.New(rand.NewPCG(1, 2))
		begun, polls := time.Now(), int64(0)
		for range 100 {
			b.start()
			synctest.Wait()
			polling, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2*time.Second + time.Duration(rng.Int64N(int64(8*time.Second))))
			b.crash()
			for _, e := range b.edges {
				polls += e.Report.polls.Load()
			}
			if err := os.WriteFile(file, polling, 0o600); err != nil { // a process that is killed leaves that
				t.Fatal(err)
			}
		}
		b.polite()
		if most := int64(time.Since(begun) / restTime); polls < most/4 {
			t.Errorf("%d polls of %d that were possible", polls, most)
		} else {
			t.Logf("%d polls of %d that were possible", polls, most)
		}
	})
}
