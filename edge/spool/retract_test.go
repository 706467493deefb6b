package spool

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/internal/testhost"
)

// wide is a sample with as many values as a hybrid inverter has registers.
func wide() Pending {
	sample := sampleAt(noon)
	for i := range 96 {
		sample.Values[fmt.Sprintf("a_register_of_the_map_%d", i)] = float64(i) * 1.1
	}
	return Pending{sample, When{Quality: Synced, Boot: 1}}
}

// mostHeap is how much more memory is reachable while f runs than before, as far as it can be seen.
func mostHeap(f func()) uint64 {
	reachable := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := reachable()
	done, peak := make(chan bool), make(chan uint64)
	go func() {
		most := before
		for {
			most = max(most, reachable())
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	f()
	close(done)
	return <-peak - before
}

// futureSpool has n samples of a clock that was ahead, with their times since the boot.
func futureSpool(t *testing.T, path string, n int) *Spool {
	t.Helper()
	s := openSpool(t, path)
	s.db.NoSync = true // power cuts are not the matter here
	p := wide()
	for part := range n / 1000 {
		var group []Pending
		for i := range 1000 {
			p.When.Since = time.Duration(part*1000+i) * 5 * time.Second
			p.Sample.Time = noon.Add(p.When.Since)
			group = append(group, p)
		}
		if err := s.AppendAll(group); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// commits is how many transactions the file has seen.
func commits(t *testing.T, s *Spool) (id int) {
	t.Helper()
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error { id = tx.ID(); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A day of samples whose times are taken back, and given again, is not in memory at once, and other work on the spool
// gets its turn in between.
func TestRetractNeedsLittleMemory(t *testing.T) {
	const n = 12_000
	s := futureSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db"), n)
	before := peek(t, s, 1)[0]
	truth := Anchor{Taken: time.Hour, Start: noon.Add(-24 * time.Hour).UnixNano(), Quality: Synced}
	for _, step := range []struct {
		name string
		do   func() error
		held int
	}{
		{"retract", func() error { _, err := s.Retract(noon.Add(-time.Hour)); return err }, n},
		{"date", func() error { return s.AssignTimestamps(1, truth, 24*time.Hour) }, 0},
	} {
		first := commits(t, s)
		most := mostHeap(func() {
			if err := step.do(); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
		})
		if got := commits(t, s) - first; most > 20<<20 || got < n/batchSize {
			t.Errorf("%s: %d MiB of memory at once, %d transactions", step.name, most>>20, got)
		}
		if s.Undated() != step.held || s.Waiting() != n || s.Ready() != n-step.held {
			t.Errorf("%s: %d held, %d waiting, %d ready", step.name, s.Undated(), s.Waiting(), s.Ready())
		}
	}
	after := peek(t, s, 1)[0]
	before.Sample.Time = after.Sample.Time
	if s.Ready() != n || len(after.Sample.Values) != len(before.Sample.Values) || after.Sample.PVPowerW != before.Sample.PVPowerW || after.When != before.When {
		t.Errorf("%d of %d samples have a time again; %+v was %+v", s.Ready(), n, after, before)
	}
}

// Wherever taking back times is cut off, what was moved and what was not are dated right in the end.
func TestRetractThatIsCutOffGoesOn(t *testing.T) {
	const n = 6000
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	s := futureSpool(t, path, n)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Retract(noon.Add(-time.Hour))
	}()
	for cut := false; !cut; {
		select {
		case <-ended:
			cut = true
		default:
			cut = s.Undated() > 0
		}
	}
	s.Close()
	<-ended
	s = openSpool(t, path)
	s.db.NoSync = true
	t.Logf("cut off after %d of %d", s.Undated(), n)
	truth := Anchor{Taken: time.Hour, Start: noon.Add(-24 * time.Hour).UnixNano(), Quality: Synced}
	if err := s.AssignTimestamps(1, truth, 24*time.Hour); err != nil { // as the next poll does
		t.Fatal(err)
	}
	if _, err := s.Retract(noon.Add(-time.Hour)); err != nil { // when the server refuses the others
		t.Fatal(err)
	}
	if err := s.AssignTimestamps(1, truth, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	records := peek(t, s, n+1)
	if len(records) != n || s.Undated() != 0 {
		t.Fatalf("%d of %d samples have a time, %d are held", len(records), n, s.Undated())
	}
	seen := make(map[int64]bool)
	for _, r := range records {
		if off := r.Sample.Time.Sub(truth.At(r.When.Since)); off.Abs() > time.Second || seen[r.Sample.Time.UnixMilli()] {
			t.Fatalf("sample %d is off by %v, or its time was given twice", r.Seq, off)
		}
		seen[r.Sample.Time.UnixMilli()] = true
	}
	if want := records[n-1].Sample.Time; !s.Newest().Equal(want) {
		t.Errorf("the newest is %v, want %v", s.Newest(), want)
	}
}

// A clock that is set back behind weeks of waiting samples: the times that are taken are looked up once, not for each
// sample that comes.
func TestTimesBehindALongBacklogAreLookedUpOnce(t *testing.T) {
	s := openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db"))
	s.db.NoSync = true
	const n = 140_000
	for part := range n / 10_000 {
		var group []Pending
		for i := range 10_000 {
			group = append(group, Pending{sampleAt(noon.Add(time.Duration(part*10_000+i) * 5 * time.Second)), When{Quality: Synced}})
		}
		if err := s.AppendAll(group); err != nil {
			t.Fatal(err)
		}
	}
	from := noon.Add(time.Minute)
	for i := range 3 {
		x := sampleAt(from.Add(time.Duration(i) * 5 * time.Second))
		if err := s.Append(&x, When{Quality: Synced}); err != nil {
			t.Fatal(err)
		}
		if want := from.Add(time.Duration(i)*5*time.Second + time.Millisecond); !x.Time.Equal(want) {
			t.Errorf("a time that was given is given again, or moved too far: %v, want %v", x.Time, want)
		}
	}
	if s.usedFrom != from.UnixMilli() || len(s.used) > 70_000 {
		t.Errorf("looked up again at %v, %d times in memory", time.UnixMilli(s.usedFrom), len(s.used))
	}
}
