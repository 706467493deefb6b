package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/wire"
)

// counted is a store of one newest sample for every device that counts how often it is asked.
type counted struct {
	Samples
	mu    sync.Mutex
	pv    float64
	asked int
	err   error
}

func (c *counted) set(pv float64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pv, c.err = pv, err
}

func (c *counted) Latest(_ context.Context, device string) (wire.Sample, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	s := at(noon, c.pv)
	s.DeviceID = device
	return s, c.err
}

func (c *counted) Close() error { return nil }

func (c *counted) Insert(_ context.Context, _ string, samples []wire.Sample) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pv = samples[0].PVPowerW
	return 1, c.err
}

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
	for i := range maxCached + 1000 {
		latest(t, c, fmt.Sprint("device ", i))
	}
	if n := len(c.entries); n != maxCached {
		t.Errorf("%d devices cached, want %d", n, maxCached)
	}
}

// slow answers with what was there before the Insert that comes in between.
type slow struct {
	*counted
	begun, goOn chan struct{}
}

func (s *slow) Latest(ctx context.Context, device string) (wire.Sample, error) {
	sample, err := s.counted.Latest(ctx, device)
	if s.begun != nil {
		s.begun <- struct{}{}
		<-s.goOn
	}
	return sample, err
}

func TestReaderThatIsLateDoesNotFillTheCache(t *testing.T) {
	inner := &slow{&counted{pv: 1}, make(chan struct{}), make(chan struct{})}
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
	c := NewCached(open(t, t.TempDir()), time.Hour)
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
