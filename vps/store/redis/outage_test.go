//go:build unix

package redis

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sunspool/internal/testservices"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// The reader's answer lives as long as its lease did, so it is never older than ttl, even if an insert's deletion is lost.
func TestAnswerIsNeverOlderThanTTL(t *testing.T) {
	const ttl = 400 * time.Millisecond
	server := testservices.Redis(t)
	inner := &storetest.Slow{Counting: &storetest.Counting{PV: 1}, Begun: make(chan struct{}), GoOn: make(chan struct{})}
	r := usable(t, inner, server.URL(), ttl)
	var asked time.Time
	var wg sync.WaitGroup
	wg.Go(func() { storetest.Latest(t, r, "a") })
	<-inner.Begun
	asked = time.Now()
	time.Sleep(ttl / 2)
	inner.Set(2, nil) // by a process whose Redis is away
	close(inner.GoOn)
	wg.Wait()
	inner.Begun = nil
	for {
		old := time.Since(asked) // before it is asked: what a busy machine takes for the answer is not its age
		if storetest.Latest(t, r, "a").PVPowerW != 1 {
			break
		}
		if old > ttl+50*time.Millisecond {
			t.Fatalf("an answer that is %v old", old)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRedisAwayAtStartIsFoundLater(t *testing.T) {
	server := testservices.Redis(t)
	server.Stop()
	var log syncBuffer
	inner := &storetest.Counting{PV: 1}
	r := connected(t, inner, server.URL(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
	for range 50 {
		storetest.Latest(t, r, "a")
		storetest.Insert(t, r, "a", 1, storetest.At(storetest.Noon, 1))
	}
	server.Start()
	testservices.Await(t, "Redis is used", func() bool { return r.use.Load() != nil })
	inner.Asked = 0
	for range 50 {
		storetest.Latest(t, r, "a")
	}
	if inner.Asked != 1 {
		t.Errorf("the store was asked %d times", inner.Asked)
	}
	if text := log.String(); strings.Count(text, "link broken") != 1 || strings.Count(text, "link recovered") != 1 {
		t.Errorf("one change each:\n%s", text)
	}
}

// Each way in which Redis can be away or of no use: all requests are right and none takes long, and it is used again
// when it is back.
func TestRedisThatFailsFailsNoRequest(t *testing.T) {
	for name, c := range map[string]struct {
		options    []testservices.RedisOption
		fail, heal func(*testservices.RedisServer)
	}{
		"killed": {nil, (*testservices.RedisServer).Kill, (*testservices.RedisServer).Start},
		"hung":   {nil, (*testservices.RedisServer).Pause, (*testservices.RedisServer).Resume},
		"full": {[]testservices.RedisOption{testservices.MaxMemory(0, "noeviction")},
			func(s *testservices.RedisServer) { configure(t, s, "1mb") }, func(s *testservices.RedisServer) { configure(t, s, "0") }},
	} {
		t.Run(name, func(t *testing.T) {
			server := testservices.Redis(t, c.options...)
			var log syncBuffer
			inner := &versions{}
			r := connectedWithin(t, budget, inner, server.URL(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
			testservices.Await(t, "Redis is used", func() bool { return r.use.Load() != nil })

			var stop atomic.Bool
			var mu sync.Mutex
			var took []time.Duration
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					device := fmt.Sprint("device-", i%4)
					for n := range 1_000_000 {
						if stop.Load() {
							return
						}
						began := time.Now()
						if n%5 == 0 {
							if _, err := r.Insert(t.Context(), device, []wire.Sample{storetest.At(storetest.Noon, 1)}); err != nil {
								t.Error(err)
							}
						} else if _, err := r.Latest(t.Context(), device); err != nil {
							t.Error(err)
						}
						mu.Lock()
						took = append(took, time.Since(began))
						mu.Unlock()
						time.Sleep(time.Millisecond)
					}
				})
			}
			stalls := testservices.Stalls(t)
			time.Sleep(100 * time.Millisecond)
			before := strings.Count(log.String(), "link broken") // a busy machine may have let Redis be late
			c.fail(server)
			testservices.Await(t, "it is not used any more, and that is said", func() bool {
				return r.use.Load() == nil && strings.Count(log.String(), "link broken") > strings.Count(log.String(), "link recovered")
			})
			time.Sleep(2500 * time.Millisecond) // without it
			without := log.String()
			c.heal(server)
			testservices.Await(t, "Redis is used again", func() bool { return r.use.Load() != nil })
			time.Sleep(100 * time.Millisecond)
			stop.Store(true)
			wg.Wait()

			slices.Sort(took)
			p99, worst := took[len(took)*99/100], took[len(took)-1]
			t.Logf("%d requests, p50 %v, p99 %v, worst %v", len(took), took[len(took)/2], p99, worst)
			usual, most := stalls()
			if p99 > 300*time.Millisecond+10*usual || worst > 600*time.Millisecond+10*most {
				t.Errorf("p99 %v, worst %v; the machine itself is late by %v, at most %v", p99, worst, usual, most)
			}
			why := map[string]bool{} // first it may be late, and then fail: that is another reason, and each is said once
			for _, line := range strings.Split(without, "link broken")[before+1:] {
				if line, _, _ = strings.Cut(line, "\n"); why[line] {
					t.Errorf("said again while Redis failed:\n%s", without)
				}
				why[line] = true
			}
		})
	}
}

func configure(t testing.TB, server *testservices.RedisServer, maxmemory string) {
	c := raw(t, server.URL())
	if err := c.Do(t.Context(), c.B().ConfigSet().ParameterValue().ParameterValue("maxmemory", maxmemory).Build()).Error(); err != nil {
		t.Error(err)
	}
}

// An insert whose deletion could not be sent: this process does not believe Redis about the device until it was.
func TestDeletionThatCouldNotBeSentIsDoneFirst(t *testing.T) {
	server, inner := testservices.Redis(t), &versions{}
	r := usableWithin(t, budget, inner, server.URL(), time.Hour)
	storetest.Insert(t, r, "a", 1, storetest.At(storetest.Noon, 1))
	storetest.Latest(t, r, "a") // and is in Redis now
	server.Pause()
	stalls := testservices.Stalls(t)
	began := time.Now()
	storetest.Insert(t, r, "a", 1, storetest.At(storetest.Noon, 2))
	took := time.Since(began)
	if _, late := stalls(); took > budget+100*time.Millisecond+10*late {
		t.Errorf("the insert took %v; the machine itself is late by %v", took, late)
	}
	if got := storetest.Latest(t, r, "a").PVPowerW; got != 2 {
		t.Errorf("%v W while Redis hangs", got)
	}
	server.Resume()
	for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(time.Millisecond) {
		if got := storetest.Latest(t, r, "a").PVPowerW; got != 2 {
			t.Fatalf("%v W after %v", got, time.Since(began))
		}
	}
	testservices.Await(t, "Redis is used again", func() bool { return r.use.Load() != nil })
	if len(r.stale) > 0 {
		t.Errorf("to be deleted %v", r.stale)
	}
}

// The same for a deletion that was never sent: the first reader sends it, or else the probe does, for other processes.
func TestDeletionThatWasNeverSentIsSentLater(t *testing.T) {
	server, inner := testservices.Redis(t), &versions{}
	r, other := usable(t, inner, server.URL(), time.Hour), usable(t, inner, server.URL(), time.Hour)
	storetest.Insert(t, r, "a", 1, storetest.At(storetest.Noon, 1))
	storetest.Latest(t, r, "a")
	client := r.use.Swap(nil)
	storetest.Insert(t, r, "a", 1, storetest.At(storetest.Noon, 2))
	r.done("a", r.marks-1) // that of an insert before is done: nothing is said about this one
	r.use.Store(client)
	if got := storetest.Latest(t, r, "a").PVPowerW; got != 2 {
		t.Errorf("%v W for the first reader", got)
	}
	storetest.Latest(t, r, "a")
	began := time.Now()
	r.broke(client, errors.New("cut off"))
	storetest.Insert(t, r, "a", 1, storetest.At(storetest.Noon, 3))
	if got := storetest.Latest(t, other, "a").PVPowerW; got != 2 && time.Since(began) < time.Second { // then comes the probe
		t.Fatalf("%v W: what is to be deleted is not there", got)
	}
	testservices.Await(t, "it is used again", func() bool { return r.use.Load() != nil })
	if got := storetest.Latest(t, other, "a").PVPowerW; got != 3 {
		t.Errorf("%v W for another process after the probe", got)
	}
}

// syncBuffer collects what many goroutines log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
