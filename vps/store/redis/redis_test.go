//go:build unix

package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func TestRedisBolt(t *testing.T) {
	var mu sync.Mutex
	servers := map[string]*testservices.RedisServer{} // of each test, by its dir: a store that is opened again finds it again
	storetest.Run(t, func(t *testing.T, dir string) store.Samples {
		mu.Lock()
		defer mu.Unlock()
		if servers[dir] == nil {
			servers[dir] = testservices.Redis(t)
		}
		b := disk(t, dir)
		return storetest.InFront(usable(t, b, servers[dir].URL(), time.Hour), b)
	})
}

// connected returns a Redis in front of samples that logs to log, and is patient with a Redis that is late on a busy machine.
func connected(t testing.TB, samples store.Samples, address string, ttl time.Duration, log *slog.Logger) *Cache {
	t.Helper()
	return connectedWithin(t, testservices.Patience, samples, address, ttl, log)
}

// connectedWithin returns one that waits so long for Redis.
func connectedWithin(t testing.TB, budget time.Duration, samples store.Samples, address string, ttl time.Duration, log *slog.Logger) *Cache {
	t.Helper()
	r, err := within(budget, samples, address, ttl, health.New(time.Now, log).Link("redis"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// usable returns one that uses its Redis already.
func usable(t testing.TB, samples store.Samples, address string, ttl time.Duration) *Cache {
	t.Helper()
	return usableWithin(t, testservices.Patience, samples, address, ttl)
}

func usableWithin(t testing.TB, budget time.Duration, samples store.Samples, address string, ttl time.Duration) *Cache {
	t.Helper()
	r := connectedWithin(t, budget, samples, address, ttl, slog.New(slog.DiscardHandler))
	testservices.Await(t, "Redis is used", func() bool { return r.use.Load() != nil })
	return r
}

// raw is a client of the test's own.
func raw(t testing.TB, address string) rueidis.Client {
	t.Helper()
	option, why := parseURL(address)
	if why != "" {
		t.Fatal(why)
	}
	c, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRedisAnswersUntilAnInsertOfAnyProcess(t *testing.T) {
	server, inner := testservices.Redis(t), &storetest.Counting{PV: 1}
	a, b := usable(t, inner, server.URL(), time.Hour), usable(t, inner, server.URL(), time.Hour)
	for range 10 {
		storetest.Latest(t, a, "a")
		storetest.Latest(t, b, "a")
	}
	if inner.Asked != 1 {
		t.Errorf("the store was asked %d times", inner.Asked)
	}
	storetest.Insert(t, a, "a", 1, storetest.At(storetest.Noon, 2))
	if got := storetest.Latest(t, b, "a").PVPowerW; got != 2 {
		t.Errorf("%v W after an insert of 2 W by another process", got)
	}
	if ttl, err := raw(t, server.URL()).Do(t.Context(), raw(t, server.URL()).B().Pttl().Key("realtime:a").Build()).AsInt64(); err != nil || ttl <= 0 || ttl > 3600_000 {
		t.Errorf("it lives for %d ms, %v", ttl, err)
	}
}

// What another server of the API reads there is the contract's JSON.
func TestOthersCanReadWhatIsInRedis(t *testing.T) {
	server := testservices.Redis(t)
	r := usable(t, disk(t, t.TempDir()), server.URL(), time.Hour)
	storetest.Insert(t, r, "roof", 1, storetest.At(storetest.Noon, 7))
	storetest.Latest(t, r, "roof")
	c := raw(t, server.URL())
	text, err := c.Do(t.Context(), c.B().Get().Key("realtime:roof").Build()).ToString()
	const want = `{"device_id":"roof","ts":"2026-07-14T12:00:00Z","pv_power_w":7,"pv_daily_kwh":null,"battery_power_w":null,"battery_soc_pct":null,"battery_temp_c":null,"load_power_w":null,"export_power_w":null,"sample_count":1}`
	if err != nil || text != want {
		t.Errorf("%s %v", text, err)
	}
	if keys, err := c.Do(t.Context(), c.B().Dbsize().Build()).AsInt64(); err != nil || keys > 2 { // the probe is the other
		t.Errorf("%d keys, %v", keys, err)
	}
}

// Readers may ask for any name: nothing stays of one of no device, the lease for an answer neither.
func TestNameOfNoDeviceLeavesNothingInRedis(t *testing.T) {
	server := testservices.Redis(t)
	r := usable(t, disk(t, t.TempDir()), server.URL(), time.Hour)
	for i := range 20 {
		if _, err := r.Latest(t.Context(), fmt.Sprint("none-", i)); !errors.Is(err, store.ErrNone) {
			t.Fatal(err)
		}
	}
	c := raw(t, server.URL())
	if keys, err := c.Do(t.Context(), c.B().Dbsize().Build()).AsInt64(); err != nil || keys > 1 { // the probe
		t.Errorf("%d keys, %v", keys, err)
	}
}

// A reader takes its time between asking the store and filling the cache, an insert of another process comes in between,
// ten thousand times: nobody ever gets what was before a finished insert, and the cache does work.
func TestLateReaderOfAnotherProcessDoesNotFillRedis(t *testing.T) {
	rounds := 10_000
	if testing.Short() {
		rounds = 500
	}
	server, inner := testservices.Redis(t), &versions{}
	readers, writer := usable(t, inner, server.URL(), time.Hour), usable(t, inner, server.URL(), time.Hour)
	done := make(chan struct{})
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				before := inner.finished.Load()
				if got := storetest.Latest(t, readers, "a").PVPowerW; int64(got) < before {
					wrong.Add(1)
				}
			}
		})
	}
	for i := range rounds {
		storetest.Insert(t, writer, "a", 1, storetest.At(storetest.Noon, float64(i+1)))
		inner.finished.Store(int64(i + 1))
		if i%10 == 0 {
			time.Sleep(time.Millisecond) // let them fill it
		}
	}
	close(done)
	wg.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d answers were older than a finished insert", n)
	}
	asked, hits := inner.asked.Load(), inner.finished.Load()
	testservices.Await(t, "Redis is used", func() bool { return readers.use.Load() != nil }) // a busy machine may have let it be late
	t.Logf("%d inserts, the store was asked %d times", hits, asked)
}

// versions is a store of one sample whose readers are slow now and then.
type versions struct {
	store.Samples
	stored, finished, asked atomic.Int64
}

func (v *versions) Latest(_ context.Context, device string) (wire.Sample, error) {
	v.asked.Add(1)
	s := storetest.At(storetest.Noon, float64(v.stored.Load()))
	s.DeviceID = device
	for range rand.N(20) {
		runtime.Gosched()
	}
	if rand.N(50) == 0 {
		time.Sleep(time.Millisecond)
	}
	return s, nil
}

func (v *versions) Insert(_ context.Context, _ string, samples []wire.Sample) (int, error) {
	v.stored.Store(int64(samples[0].PVPowerW))
	return 1, nil
}

func (v *versions) Close() error { return nil }

func TestWrongPasswordIsSaidAndNotShown(t *testing.T) {
	server := testservices.Redis(t, testservices.Password("right"))
	u, _ := url.Parse(server.URL())
	u.User = url.UserPassword("", "canary-9x2w")
	var log syncBuffer
	r := connected(t, &storetest.Counting{PV: 1}, u.String(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
	testservices.Await(t, "it is said", func() bool { return strings.Contains(log.String(), "redis_refuses") })
	storetest.Latest(t, r, "a")
	if text := log.String(); strings.Contains(text, "canary") || !strings.Contains(text, "REDIS_URL") {
		t.Error(text)
	}
}

func TestDatabaseThatRedisDoesNotHaveIsSaid(t *testing.T) {
	server := testservices.Redis(t)
	u, _ := url.Parse(server.URL())
	u.Path = "/99"
	var log syncBuffer
	connected(t, &storetest.Counting{PV: 1}, u.String(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
	testservices.Await(t, "it is said", func() bool {
		return strings.Contains(log.String(), "redis_refuses") && strings.Contains(log.String(), "the number of the database")
	})
}

func TestRedisURLThatIsNoneIsRefusedWithoutBeingShown(t *testing.T) {
	for address, want := range map[string]string{
		"redis://:canary 1@h\x7f":             "not a URL",
		"http://:canary@h":                    "redis://",
		"redis://:canary@":                    "no host",
		"redis://:canary@h:70000":             "1 to 65535",
		"redis://:canary@h:x":                 "not a URL",
		"redis://:canary@h/one":               "database",
		"rediss://:canary@h?skip_verify=true": "not used",
		"canary":                              "redis://",
		"127.0.0.1:6379/canary":               "redis://",
	} {
		_, err := New(&storetest.Counting{}, address, time.Second, nil)
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprintf("%v %+v", err, fault), "canary") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"redis://h", "redis://h:6380/3", "rediss://u:p@h", "redis://[::1]:6379"} {
		if why := WrongURL(address); why != "" {
			t.Errorf("%s %s", address, why)
		}
	}
	if o, _ := parseURL("rediss://u:p@h:1/2"); o.TLSConfig.ServerName != "h" || o.Username != "u" || o.Password != "p" || o.SelectDB != 2 || o.InitAddress[0] != "h:1" {
		t.Errorf("%+v", o)
	}
}

// disk2 opens the embedded store in dir.
func disk(t *testing.T, dir string) *bolt.Store {
	t.Helper()
	b, err := bolt.Open(filepath.Join(dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
