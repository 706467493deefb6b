package edge

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// wide is a sample with as many values as a hybrid inverter has registers.
func wide(t *testing.T) Pending {
	t.Helper()
	sample, _, err := Normalize(readingOf(t, hybridImage, nil))
	if err != nil {
		t.Fatal(err)
	}
	sample.DeviceID = "roof"
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

// A day of samples whose times are taken back is not in memory at once.
func TestRetractNeedsLittleMemory(t *testing.T) {
	s := openSpool(t, filepath.Join(memoryDir(t), "spool.db"))
	s.db.NoSync = true // power cuts are not the matter here
	const n = 12_000
	p := wide(t)
	for part := range n / 1000 {
		var group []Pending
		for i := range 1000 {
			p.Sample.Time = noon.Add(time.Duration(part*1000+i) * 5 * time.Second)
			group = append(group, p)
		}
		if err := s.AppendAll(group); err != nil {
			t.Fatal(err)
		}
	}
	before := peek(t, s, 1)[0]
	most := mostHeap(func() {
		if got, err := s.Retract(noon.Add(-time.Hour)); got != n || err != nil {
			t.Errorf("%d of %d retracted, %v", got, n, err)
		}
	})
	t.Logf("%d MiB of memory at once", most>>20)
	if most > 40<<20 {
		t.Errorf("%d MiB of memory at once", most>>20)
	}
	if s.Held() != n || s.Waiting() != n || s.Ready() != 0 {
		t.Errorf("%d held, %d waiting, %d ready", s.Held(), s.Waiting(), s.Ready())
	}
	if err := s.Date(1, anchor{Taken: time.Hour, Start: noon.Add(-24 * time.Hour).UnixNano(), Quality: Synced}, time.Hour); err != nil {
		t.Fatal(err)
	}
	after := peek(t, s, 1)[0]
	before.Sample.Time = after.Sample.Time
	if s.Ready() != n || len(after.Sample.Values) != len(before.Sample.Values) || after.Sample.PVPowerW != before.Sample.PVPowerW || after.When != before.When {
		t.Errorf("%d of %d samples have a time again; %+v was %+v", s.Ready(), n, after, before)
	}
}
