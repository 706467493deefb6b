package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/race"
	"sunspool/internal/testhost"
)

// appendGroup appends samples from..from+n of a day without end, in one commit.
func appendGroup(t testing.TB, s *Spool, from, n int) {
	t.Helper()
	group := make([]Pending, n)
	for i := range group {
		group[i] = Pending{sampleAt(noon.Add(time.Duration(from+i) * 5 * time.Second)), When{Quality: Synced}}
	}
	if err := s.AppendAll(group); err != nil {
		t.Fatal(err)
	}
}

// drained is a spool through which n samples went; the last left of them still wait, and one is in quarantine.
func drained(t *testing.T, path string, n, left int) *Spool {
	t.Helper()
	s := openSpool(t, path)
	for at := 0; at < n; at += 1000 {
		appendGroup(t, s, at, min(1000, n-at))
	}
	poison := []Rejection{{Seq: 1, Code: "ts_too_old", First: noon, Last: noon}}
	for s.Waiting() > left {
		records := peek(t, s, min(1000, s.Waiting()-left))
		if err := s.Settle(seqs(records)[len(poison):], poison); err != nil {
			t.Fatal(err)
		}
		poison = nil
	}
	return s
}

// commitBytes is what one more sample costs in pages, on average.
func commitBytes(t *testing.T, s *Spool) int64 {
	t.Helper()
	const n = 50
	before := s.db.Stats()
	for i := range n {
		appendGroup(t, s, 10_000_000+i, 1)
	}
	after := s.db.Stats()
	return (after.TxStats.GetPageAlloc()-before.TxStats.GetPageAlloc())/n + 4096 // and the meta page
}

func TestAfterADrainACommitCostsWhatItCostBefore(t *testing.T) {
	race.Skip(t, "one goroutine alone")
	const n = 100_000
	fresh := commitBytes(t, openSpool(t, filepath.Join(t.TempDir(), "spool.db")))
	s := drained(t, filepath.Join(t.TempDir(), "spool.db"), n, 0)
	bloated := commitBytes(t, s)
	gained, err := s.Compact()
	if err != nil || gained < compactFrom/2 {
		t.Fatalf("gained %d bytes, %v", gained, err)
	}
	after := commitBytes(t, s)
	t.Logf("a commit of one sample: fresh %d bytes, after a drain of %d %d, compacted %d", fresh, n, bloated, after)
	if bloated*2 < fresh*3 {
		t.Error("the drain made no difference: the test tests nothing")
	}
	if after*2 > fresh*3 {
		t.Errorf("compacted, a commit is %d bytes, fresh %d: more than 1.5 times", after, fresh)
	}
	if again, err := s.Compact(); again != 0 || err != nil {
		t.Errorf("compacting again gains %d, %v", again, err)
	}
}

// content is all that is in a spool.
func content(t *testing.T, s *Spool) string {
	t.Helper()
	var b bytes.Buffer
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
				fmt.Fprintf(&b, "%s sequence %d\n", name, bucket.Sequence())
				return bucket.ForEach(func(k, v []byte) error {
					_, err := fmt.Fprintf(&b, "%x=%x\n", k, v)
					return err
				})
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A crash at any step of it leaves a spool that has everything.
func TestCrashWhileCompactingLeavesOneWholeFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "spool.db")
	s := drained(t, path, 60_000, 300)
	want := content(t, s)
	size := s.Bytes()
	copies := map[string]string{}
	s.atStep = func(step string) {
		to := t.TempDir()
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		copies[step] = to
	}
	if _, err := s.Compact(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, s); got != want {
		t.Error("the compacted spool has not the same content")
	}
	if s.Bytes() > size/2 {
		t.Errorf("%d bytes became %d", size, s.Bytes())
	}
	for _, step := range []string{"created", "copied", "checked", "renamed", "synced"} {
		to, ok := copies[step]
		if !ok {
			t.Errorf("there was no step %s", step)
			continue
		}
		c := openSpool(t, filepath.Join(to, "spool.db"))
		if content(t, c) != want || c.Waiting() != 300 || c.InQuarantine() != 1 {
			t.Errorf("a crash when %s leaves something else, %d waiting", step, c.Waiting())
		}
		if left, _ := filepath.Glob(filepath.Join(to, "*.compact")); left != nil {
			t.Errorf("a crash when %s leaves %v behind", step, left)
		}
		appendGroup(t, c, 70_000, 1)
		if last := peek(t, c, 1000)[300]; last.Seq != 60_001 {
			t.Errorf("after a crash when %s numbers go on with %d", step, last.Seq)
		}
	}
}

// The copy is half written, or no database at all: it is a leftover and nothing else.
func TestLeftoverOfACompactionIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := drained(t, path, 100, 100)
	s.Close()
	if err := os.WriteFile(files.CompactPath(path), []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, path)
	if _, err := os.Stat(files.CompactPath(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
	if s.Waiting() != 100 {
		t.Errorf("%d waiting", s.Waiting())
	}
}

// A second process that waits for the lock while the file is replaced must not end up with the old one.
func TestNobodyGetsInWhileTheFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := drained(t, path, 60_000, 50)
	got := make(chan error, 3)
	before := make(chan struct{})
	for range cap(got) {
		go func() {
			<-before
			second, err := Open(path)
			if err == nil {
				second.Close()
			}
			got <- err
		}()
	}
	s.atStep = func(step string) {
		if step == "checked" {
			close(before)
			time.Sleep(300 * time.Millisecond) // they have the old file open by now, and wait for its lock
		}
	}
	if gained, err := s.Compact(); err != nil || gained == 0 {
		t.Fatalf("gained %d, %v", gained, err)
	}
	for range cap(got) {
		if f, ok := errors.AsType[*health.Fault](<-got); !ok || f.Exit != health.ExitBusy {
			t.Errorf("a second process got in: %v", f)
		}
	}
	appendGroup(t, s, 70_000, 1)
	s.Close()
	if s = openSpool(t, path); s.Waiting() != 51 {
		t.Errorf("%d waiting, want 51", s.Waiting())
	}
}

func TestCompactionLetsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		room    Capacity
		waiting int
		want    bool
	}{
		"a small file":              {Capacity{Size: 3 << 20}, 0, false},
		"a backlog that drains":     {Capacity{Size: 300 << 20, Used: 1 << 20}, 5000, false},
		"a file in use":             {Capacity{Size: 90 << 20, Used: 30 << 20}, 0, false},
		"nothing: it is empty":      {Capacity{Size: 20 << 20, Used: 3 << 20}, 10, true},
		"nothing: large for little": {Capacity{Size: 200 << 20, Used: 9 << 20}, 10, true},
	} {
		if got := c.room.bloated(c.waiting); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A record that is damaged is for Peek to set aside; the copy would not be checked with it.
func TestDamagedRecordStopsTheCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := drained(t, path, 60_000, 10)
	err := s.exec(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(format.SamplesBucket)
			k, v := b.Cursor().Last()
			v = slices.Clone(v)
			v[len(v)-1] ^= 1
			return b.Put(k, v)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	want := content(t, s)
	if _, err := s.Compact(); err == nil {
		t.Error("compacted with a damaged record")
	}
	if content(t, s) != want {
		t.Error("the spool is not what it was")
	}
	if _, err := os.Stat(files.CompactPath(path)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the copy was left behind")
	}
}

// A spool at its size takes no more, forgets what is delivered, and goes on: nothing that was taken is lost.
func TestSpoolAtItsSizeTakesNoMoreAndDrains(t *testing.T) {
	race.Skip(t, "one goroutine alone")
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	s.SetLimit(8 << 20)
	n := 0
	var err error
	for err == nil {
		group := make([]Pending, 97)
		for i := range group {
			group[i] = Pending{sampleAt(noon.Add(time.Duration(n+i) * 5 * time.Second)), When{Quality: Synced}}
		}
		if err = s.AppendAll(group); err == nil {
			n += len(group)
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("at its size it says %v", err)
	}
	if share := s.Capacity().Share(); share < 0.93 || share > 1 || s.Bytes() > 8<<20 {
		t.Errorf("full at %.2f, a file of %d bytes", share, s.Bytes())
	}
	one := peek(t, s, 2)
	if err := s.Settle([]uint64{one[0].Seq}, []Rejection{{Seq: one[1].Seq, Code: "no", First: noon, Last: noon}}); err != nil {
		t.Fatalf("no ack in a full spool: %v", err)
	}
	for out := 2; s.Waiting() > 0; {
		records := peek(t, s, 1000)
		for _, r := range records {
			if want := noon.Add(time.Duration(out) * 5 * time.Second); !r.Sample.Time.Equal(want) {
				t.Fatalf("sample %d is of %v, want %v", out, r.Sample.Time, want)
			}
			out++
		}
		if err := s.Settle(seqs(records), nil); err != nil {
			t.Fatal(err)
		}
		if s.Waiting() == 0 && out != n {
			t.Errorf("%d came out of %d", out, n)
		}
	}
	appendGroup(t, s, n, 1)
}

// What makes the spool small when it has drained takes its time, and says for how long it may.
func TestLongWorkOnTheSpoolAsksForItsTime(t *testing.T) {
	var asked []time.Duration
	note := func(most time.Duration) { asked = append(asked, most) }
	small := openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db"))
	small.Busy = note
	if _, err := small.Compact(); err != nil || len(asked) > 0 {
		t.Fatalf("a small spool asks for %v, %v", asked, err)
	}
	large := drained(t, filepath.Join(testhost.MemoryDir(t), "spool.db"), 100_000, 10)
	large.Busy = note
	if gained, err := large.Compact(); err != nil || gained == 0 {
		t.Fatalf("gained %d, %v", gained, err)
	}
	if len(asked) != 1 || asked[0] < time.Minute {
		t.Errorf("it asks for %v, want once a minute or more", asked)
	}
}
