package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func TestCacheAnswersUntilItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &storetest.Counting{PV: 1}
		c := store.NewCached(inner, 5*time.Second)
		for range 100 {
			storetest.Latest(t, c, "a")
		}
		if inner.Asked != 1 {
			t.Errorf("the store was asked %d times in no time", inner.Asked)
		}
		inner.Set(2, nil) // by another process
		time.Sleep(5*time.Second - time.Nanosecond)
		if got := storetest.Latest(t, c, "a").PVPowerW; got != 1 {
			t.Errorf("%v W before the end", got)
		}
		time.Sleep(time.Nanosecond)
		if got := storetest.Latest(t, c, "a").PVPowerW; got != 2 {
			t.Errorf("%v W after the end", got)
		}
	})
}

func TestErrorIsNotCached(t *testing.T) {
	inner := &storetest.Counting{Err: store.ErrNone}
	c := store.NewCached(inner, time.Hour)
	if _, err := c.Latest(t.Context(), "a"); !errors.Is(err, store.ErrNone) {
		t.Fatal(err)
	}
	inner.Set(1, nil)
	if got := storetest.Latest(t, c, "a").PVPowerW; got != 1 {
		t.Errorf("%v W", got)
	}
	inner.Set(1, store.ErrUnavailable) // an insert with an unknown outcome may have stored something
	_, _ = c.Insert(t.Context(), "a", []wire.Sample{storetest.At(storetest.Noon, 3)})
	inner.Set(3, nil)
	if got := storetest.Latest(t, c, "a").PVPowerW; got != 3 {
		t.Errorf("%v W", got)
	}
}

func TestCacheOfNoTimeAlwaysAsks(t *testing.T) {
	inner := &storetest.Counting{}
	c := store.NewCached(inner, 0)
	for range 3 {
		storetest.Latest(t, c, "a")
	}
	if inner.Asked != 3 {
		t.Errorf("asked %d times, want 3", inner.Asked)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := store.NewCached(&storetest.Counting{}, time.Hour)
	for i := range store.MaxCached + 1000 {
		storetest.Latest(t, c, fmt.Sprint("device ", i))
	}
	if n := c.Entries(); n != store.MaxCached {
		t.Errorf("%d devices cached, want %d", n, store.MaxCached)
	}
}

func TestReaderThatIsLateDoesNotFillTheCache(t *testing.T) {
	inner := &storetest.Slow{Counting: &storetest.Counting{PV: 1}, Begun: make(chan struct{}), GoOn: make(chan struct{})}
	c := store.NewCached(inner, time.Hour)
	var wg sync.WaitGroup
	wg.Go(func() { storetest.Latest(t, c, "a") })
	<-inner.Begun
	storetest.Insert(t, c, "a", 1, storetest.At(storetest.Noon, 2))
	close(inner.GoOn)
	wg.Wait()
	inner.Begun = nil
	if got := storetest.Latest(t, c, "a").PVPowerW; got != 2 {
		t.Errorf("after the insert of 2 W the latest is %v W", got)
	}
}

func TestLatestIsNeverOlderThanAFinishedInsert(t *testing.T) {
	c := store.NewCached(disk(t, t.TempDir()), time.Hour)
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
		storetest.Insert(t, c, "a", 1, storetest.At(storetest.Noon.Add(time.Duration(i)*time.Second), float64(i)))
		if got := storetest.Latest(t, c, "a"); got.PVPowerW != float64(i) {
			t.Errorf("after sample %d the latest is %v", i, got.PVPowerW)
			break
		}
	}
	stop()
	wg.Wait()
}

func TestCachedBolt(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) store.Samples {
		b := disk(t, dir)
		return storetest.InFront(store.NewCached(b, time.Hour), b)
	})
}

// disk opens the embedded store in dir.
func disk(t *testing.T, dir string) *bolt.Store {
	t.Helper()
	b, err := bolt.Open(filepath.Join(dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
