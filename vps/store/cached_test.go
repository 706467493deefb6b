package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/wire"
)

func TestCacheAnswersUntilItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &counted{pv: 1}
		c := NewCached(inner, 5*time.Second)
		for range 100 {
			latest(t, c, "a")
		}
		if inner.asked != 1 {
			t.Errorf("the store was asked %d times in no time", inner.asked)
		}
		inner.set(2, nil) // by another process
		time.Sleep(5*time.Second - time.Nanosecond)
		if got := latest(t, c, "a").PVPowerW; got != 1 {
			t.Errorf("%v W before the end", got)
		}
		time.Sleep(time.Nanosecond)
		if got := latest(t, c, "a").PVPowerW; got != 2 {
			t.Errorf("%v W after the end", got)
		}
	})
}

func TestErrorIsNotCached(t *testing.T) {
	inner := &counted{err: ErrNone}
	c := NewCached(inner, time.Hour)
	if _, err := c.Latest(t.Context(), "a"); !errors.Is(err, ErrNone) {
		t.Fatal(err)
	}
	inner.set(1, nil)
	if got := latest(t, c, "a").PVPowerW; got != 1 {
		t.Errorf("%v W", got)
	}
	inner.set(1, ErrUnavailable) // an insert with an unknown outcome may have stored something
	_, _ = c.Insert(t.Context(), "a", []wire.Sample{at(noon, 3)})
	inner.set(3, nil)
	if got := latest(t, c, "a").PVPowerW; got != 3 {
		t.Errorf("%v W", got)
	}
}

func TestCacheOfNoTimeAlwaysAsks(t *testing.T) {
	inner := &counted{}
	c := NewCached(inner, 0)
	for range 3 {
		latest(t, c, "a")
	}
	if inner.asked != 3 {
		t.Errorf("asked %d times, want 3", inner.asked)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCached(&counted{}, time.Hour)
	for i := range MaxCached + 1000 {
		latest(t, c, fmt.Sprint("device ", i))
	}
	if n := c.Entries(); n != MaxCached {
		t.Errorf("%d devices cached, want %d", n, MaxCached)
	}
}

func TestReaderThatIsLateDoesNotFillTheCache(t *testing.T) {
	inner := &slow{counted: &counted{pv: 1}, begun: make(chan struct{}), goOn: make(chan struct{})}
	c := NewCached(inner, time.Hour)
	var wg sync.WaitGroup
	wg.Go(func() { latest(t, c, "a") })
	<-inner.begun
	insert(t, c, "a", 1, at(noon, 2))
	close(inner.goOn)
	wg.Wait()
	inner.begun = nil
	if got := latest(t, c, "a").PVPowerW; got != 2 {
		t.Errorf("after the insert of 2 W the latest is %v W", got)
	}
}

func TestLatestIsNeverOlderThanAFinishedInsert(t *testing.T) {
	c := NewCached(disk(t, t.TempDir()), time.Hour)
	defer c.Close()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, _ = c.Latest(ctx, "a")
			}
		})
	}
	for i := range 300 {
		insert(t, c, "a", 1, at(noon.Add(time.Duration(i)*time.Second), float64(i)))
		if got := latest(t, c, "a"); got.PVPowerW != float64(i) {
			t.Errorf("after sample %d the latest is %v", i, got.PVPowerW)
			break
		}
	}
	stop()
	wg.Wait()
}

func TestCachedBolt(t *testing.T) {
	testSamples(t, func(t *testing.T, dir string) Samples {
		b := disk(t, dir)
		return inFront(NewCached(b, time.Hour), b)
	})
}

// disk opens the embedded store in dir.
func disk(t *testing.T, dir string) *Bolt {
	t.Helper()
	b, err := OpenBolt(filepath.Join(dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
