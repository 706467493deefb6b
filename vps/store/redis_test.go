//go:build unix

package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

func TestRedisBolt(t *testing.T) {
	var mu sync.Mutex
	servers := map[string]*testservices.RedisServer{} // of each test, by its dir: a store that is opened again finds it again
	testSamples(t, func(t *testing.T, dir string) Samples {
		mu.Lock()
		defer mu.Unlock()
		if servers[dir] == nil {
			servers[dir] = testservices.Redis(t)
		}
		return usable(t, open(t, dir), servers[dir].URL(), time.Hour)
	})
}

// connected returns a Redis in front of samples that logs to log.
func connected(t testing.TB, samples Samples, address string, ttl time.Duration, log *slog.Logger) *Redis {
	t.Helper()
	r, err := NewRedis(samples, address, ttl, health.New(time.Now, log).Link("redis"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// usable returns one that uses its Redis already.
func usable(t testing.TB, samples Samples, address string, ttl time.Duration) *Redis {
	t.Helper()
	r := connected(t, samples, address, ttl, slog.New(slog.DiscardHandler))
	testservices.Await(t, "Redis is used", func() bool { return r.use.Load() != nil })
	return r
}

// raw is a client of the test's own.
func raw(t testing.TB, address string) rueidis.Client {
	t.Helper()
	option, why := redisOption(address)
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
	server, inner := testservices.Redis(t), &counted{pv: 1}
	a, b := usable(t, inner, server.URL(), time.Hour), usable(t, inner, server.URL(), time.Hour)
	for range 10 {
		latest(t, a, "a")
		latest(t, b, "a")
	}
	if inner.asked != 1 {
		t.Errorf("the store was asked %d times", inner.asked)
	}
	insert(t, a, "a", 1, at(noon, 2))
	if got := latest(t, b, "a").PVPowerW; got != 2 {
		t.Errorf("%v W after an insert of 2 W by another process", got)
	}
	if ttl, err := raw(t, server.URL()).Do(t.Context(), raw(t, server.URL()).B().Pttl().Key("realtime:a").Build()).AsInt64(); err != nil || ttl <= 0 || ttl > 3600_000 {
		t.Errorf("it lives for %d ms, %v", ttl, err)
	}
}

// What another server of the API reads there is the contract's JSON.
func TestOthersCanReadWhatIsInRedis(t *testing.T) {
	server := testservices.Redis(t)
	r := usable(t, open(t, t.TempDir()), server.URL(), time.Hour)
	insert(t, r, "roof", 1, at(noon, 7))
	latest(t, r, "roof")
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
	r := usable(t, open(t, t.TempDir()), server.URL(), time.Hour)
	for i := range 20 {
		if _, err := r.Latest(t.Context(), fmt.Sprint("none-", i)); !errors.Is(err, ErrNone) {
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
				if got := latest(t, readers, "a").PVPowerW; int64(got) < before {
					wrong.Add(1)
				}
			}
		})
	}
	for i := range rounds {
		insert(t, writer, "a", 1, at(noon, float64(i+1)))
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
	if readers.use.Load() == nil {
		t.Error("Redis is not used any more")
	}
	t.Logf("%d inserts, the store was asked %d times", hits, asked)
}

// versions is a store of one sample whose readers are slow now and then.
type versions struct {
	Samples
	stored, finished, asked atomic.Int64
}

func (v *versions) Latest(_ context.Context, device string) (wire.Sample, error) {
	v.asked.Add(1)
	s := at(noon, float64(v.stored.Load()))
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

// The reader's answer lives as long as its lease did, so it is never older than ttl, even if an insert's deletion is lost.
func TestAnswerIsNeverOlderThanTTL(t *testing.T) {
	const ttl = 400 * time.Millisecond
	server := testservices.Redis(t)
	inner := &slow{&counted{pv: 1}, make(chan struct{}), make(chan struct{})}
	r := usable(t, inner, server.URL(), ttl)
	var asked time.Time
	var wg sync.WaitGroup
	wg.Go(func() { latest(t, r, "a") })
	<-inner.begun
	asked = time.Now()
	time.Sleep(ttl / 2)
	inner.set(2, nil) // by a process whose Redis is away
	close(inner.goOn)
	wg.Wait()
	inner.begun = nil
	for {
		old := time.Since(asked) // before it is asked: what a busy machine takes for the answer is not its age
		if latest(t, r, "a").PVPowerW != 1 {
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
	inner := &counted{pv: 1}
	r := connected(t, inner, server.URL(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
	for range 50 {
		latest(t, r, "a")
		insert(t, r, "a", 1, at(noon, 1))
	}
	server.Start()
	testservices.Await(t, "Redis is used", func() bool { return r.use.Load() != nil })
	inner.asked = 0
	for range 50 {
		latest(t, r, "a")
	}
	if inner.asked != 1 {
		t.Errorf("the store was asked %d times", inner.asked)
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
			r := connected(t, inner, server.URL(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
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
							if _, err := r.Insert(t.Context(), device, []wire.Sample{at(noon, 1)}); err != nil {
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
			c.fail(server)
			time.Sleep(2500 * time.Millisecond)
			if r.use.Load() != nil {
				t.Error("it is still used")
			}
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
			text := log.String()
			if n := strings.Count(text, "\n"); n > 3 || !strings.Contains(text, "link broken") {
				t.Errorf("%d lines:\n%s", n, text)
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
	r := usable(t, inner, server.URL(), time.Hour)
	insert(t, r, "a", 1, at(noon, 1))
	latest(t, r, "a") // and is in Redis now
	server.Pause()
	stalls := testservices.Stalls(t)
	began := time.Now()
	insert(t, r, "a", 1, at(noon, 2))
	took := time.Since(began)
	if _, late := stalls(); took > redisBudget+100*time.Millisecond+10*late {
		t.Errorf("the insert took %v; the machine itself is late by %v", took, late)
	}
	if got := latest(t, r, "a").PVPowerW; got != 2 {
		t.Errorf("%v W while Redis hangs", got)
	}
	server.Resume()
	for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(time.Millisecond) {
		if got := latest(t, r, "a").PVPowerW; got != 2 {
			t.Fatalf("%v W after %v", got, time.Since(began))
		}
	}
	if r.use.Load() == nil || len(r.stale) > 0 {
		t.Errorf("used %v, to be deleted %v", r.use.Load() != nil, r.stale)
	}
}

// The same for a deletion that was never sent: the first reader sends it, or else the probe does, for other processes.
func TestDeletionThatWasNeverSentIsSentLater(t *testing.T) {
	server, inner := testservices.Redis(t), &versions{}
	r, other := usable(t, inner, server.URL(), time.Hour), usable(t, inner, server.URL(), time.Hour)
	insert(t, r, "a", 1, at(noon, 1))
	latest(t, r, "a")
	client := r.use.Swap(nil)
	insert(t, r, "a", 1, at(noon, 2))
	r.done("a", r.marks-1) // that of an insert before is done: nothing is said about this one
	r.use.Store(client)
	if got := latest(t, r, "a").PVPowerW; got != 2 {
		t.Errorf("%v W for the first reader", got)
	}
	latest(t, r, "a")
	r.broke(client, errors.New("cut off"))
	insert(t, r, "a", 1, at(noon, 3))
	if got := latest(t, other, "a").PVPowerW; got != 2 {
		t.Fatalf("%v W: what is to be deleted is not there", got)
	}
	testservices.Await(t, "it is used again", func() bool { return r.use.Load() != nil })
	if got := latest(t, other, "a").PVPowerW; got != 3 {
		t.Errorf("%v W for another process after the probe", got)
	}
}

func TestWrongPasswordIsSaidAndNotShown(t *testing.T) {
	server := testservices.Redis(t, testservices.Password("right"))
	u, _ := url.Parse(server.URL())
	u.User = url.UserPassword("", "canary-9x2w")
	var log syncBuffer
	r := connected(t, &counted{pv: 1}, u.String(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
	testservices.Await(t, "it is said", func() bool { return strings.Contains(log.String(), "redis_refuses") })
	latest(t, r, "a")
	if text := log.String(); strings.Contains(text, "canary") || !strings.Contains(text, "REDIS_URL") {
		t.Error(text)
	}
}

func TestDatabaseThatRedisDoesNotHaveIsSaid(t *testing.T) {
	server := testservices.Redis(t)
	u, _ := url.Parse(server.URL())
	u.Path = "/99"
	var log syncBuffer
	connected(t, &counted{pv: 1}, u.String(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
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
		_, err := NewRedis(&counted{}, address, time.Second, nil)
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprintf("%v %+v", err, fault), "canary") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"redis://h", "redis://h:6380/3", "rediss://u:p@h", "redis://[::1]:6379"} {
		if why := WrongRedisURL(address); why != "" {
			t.Errorf("%s %s", address, why)
		}
	}
	if o, _ := redisOption("rediss://u:p@h:1/2"); o.TLSConfig.ServerName != "h" || o.Username != "u" || o.Password != "p" || o.SelectDB != 2 || o.InitAddress[0] != "h:1" {
		t.Errorf("%+v", o)
	}
}

// poison returns what must not be taken for the sample that good encodes to.
func poison(rng *rand.Rand, good string) string {
	insertAt := func(s, part string) string { i := rng.IntN(len(s) + 1); return s[:i] + part + s[i:] }
	pick := func(all ...string) string { return all[rng.IntN(len(all))] }
	field := pick(`"device_id":`, `"ts":`, `"pv_power_w":`, `"pv_daily_kwh":`, `"load_power_w":`, `"sample_count":`)
	switch rng.IntN(10) {
	case 0:
		b := make([]byte, rng.IntN(300))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return string(b)
	case 1:
		return good[:rng.IntN(len(good))]
	case 2:
		return insertAt(good, pick(" ", "\x00", "{", "}", ",", `"`, "\xff", "[", "\n"))
	case 3:
		return strings.Replace(good, field, strings.ToUpper(field), 1)
	case 4: // twice
		return strings.Replace(good, `{`, `{`+field+pick("1", "null", `"x"`, "{}")+`,`, 1)
	case 5:
		start := strings.Index(good, field) + len(field)
		end := start + strings.IndexAny(good[start:], ",}")
		return good[:start] + pick("NaN", "Infinity", "1e999", "1e300", "1e+300", "-10000000000000000", "true", "[]", "{}", `"0"`, "01", "+1", "1.0") + good[end:]
	case 6:
		return strings.Replace(good, `"device_id":"a"`, `"device_id":`+pick(`"b"`, `"A"`, `""`, `null`, `"a\u0000"`, `"../a"`), 1)
	case 7:
		return strings.Replace(good, "2026-07-14T12:00:00Z", pick("2199-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "2026-07-14T12:00:00", "2026-07-14 12:00:00Z", "0", "2026-07-14T14:00:00+02:00"), 1)
	case 8:
		return good + pick(good, " ", "\n", "x", "null")
	default:
		return strings.Replace(good, "}", `,"values":{"x":`+pick("1e999", "null", "{}", "1e+300", strings.Repeat("[", 5000), "0."+strings.Repeat("1", maxSample))+"}}", 1)
	}
}

// Ten thousand values that are not ours: none is ever answered, none hurts.
func TestPoisonedRedisIsAMiss(t *testing.T) {
	server := testservices.Redis(t)
	inner := &versions{}
	r := usable(t, inner, server.URL(), time.Hour)
	c := raw(t, server.URL())
	insert(t, r, "a", 1, at(noon, 42))
	want := latest(t, r, "a")
	good := encoded(want)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		value := poison(rng, good)
		if value == good {
			continue
		}
		if err := c.Do(t.Context(), c.B().Set().Key("realtime:a").Value(value).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		asked := inner.asked.Load()
		if got := latest(t, r, "a"); show(got) != show(want) || inner.asked.Load() != asked+1 {
			t.Fatalf("value %d was believed: %q", i, value[:min(len(value), 300)])
		}
		if i%100 == 0 {
			if now, err := c.Do(t.Context(), c.B().Get().Key("realtime:a").Build()).ToString(); err != nil || now != good {
				t.Fatalf("it was not written over: %.300q %v", now, err)
			}
		}
	}
	for _, cmd := range []rueidis.Completed{
		c.B().Rpush().Key("realtime:a").Element("x").Build(),
		c.B().Setbit().Key("realtime:a").Offset(100 << 20).Value(1).Build(), // 12 MiB
	} {
		c.Do(t.Context(), c.B().Del().Key("realtime:a").Build())
		if err := c.Do(t.Context(), cmd).Error(); err != nil {
			t.Fatal(err)
		}
		if got := latest(t, r, "a"); show(got) != show(want) {
			t.Errorf("%s", show(got))
		}
	}
	if r.use.Load() == nil {
		t.Error("Redis is not used any more")
	}
}

func FuzzCachedSample(f *testing.F) {
	s := at(noon, 42)
	s.DeviceID, s.Values = "a", map[string]float64{"x": 1}
	good := encoded(s)
	f.Add(good)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		f.Add(poison(rng, good))
	}
	f.Fuzz(func(t *testing.T, value string) {
		s, ok := decodeSample([]byte(value), "a", time.Now())
		if !ok {
			return
		}
		if s.DeviceID != "a" || s.Validate(time.Now()) != nil {
			t.Errorf("%+v was believed", s)
		}
		if again, err := json.Marshal(s); err != nil || string(again) != value {
			t.Errorf("%q is %q", value, again)
		}
	})
}

func TestProcessesHearEachOther(t *testing.T) {
	server := testservices.Redis(t)
	a, b := usable(t, &versions{}, server.URL(), time.Hour), usable(t, &versions{}, server.URL(), time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	heard := make(chan wire.Sample, 1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		b.Listen(ctx, func(device string) bool { return device == "roof" }, func(s wire.Sample) { heard <- s })
	})
	defer wg.Wait()
	defer stop()
	hears := func() bool { // the first are published before it listens
		s := at(noon, 5)
		s.DeviceID = "roof"
		a.Publish(s)
		select {
		case got := <-heard:
			return show(got) == show(s)
		case <-time.After(20 * time.Millisecond):
			return false
		}
	}
	testservices.Await(t, "it hears", hears)

	c := raw(t, server.URL())
	for channel, text := range map[string]string{
		"sunspool:live:roof":  `{"device_id":"roof"}`,
		"sunspool:live:other": "x",
		"sunspool:live:":      "",
	} {
		c.Do(t.Context(), c.B().Publish().Channel(channel).Message(text).Build())
	}
	good := at(noon, 1)
	good.DeviceID = "other"
	text := encoded(good)
	c.Do(t.Context(), c.B().Publish().Channel("sunspool:live:other").Message(text).Build()) // nobody wants it
	c.Do(t.Context(), c.B().Publish().Channel("sunspool:live:roof").Message(text).Build())  // of another device
	time.Sleep(50 * time.Millisecond)
	for len(heard) > 0 {
		if s := <-heard; s.DeviceID != "roof" || s.PVPowerW != 5 {
			t.Errorf("heard %s", show(s))
		}
	}
	server.Kill()
	server.Start()
	testservices.Await(t, "it hears again", hears)
}

func TestPublishingNeverWaits(t *testing.T) {
	server := testservices.Redis(t)
	r := usable(t, &versions{}, server.URL(), time.Hour)
	server.Pause()
	began := time.Now()
	for range 100_000 {
		r.Publish(at(noon, 1))
	}
	if took := time.Since(began); took > testservices.Patience { // Redis is away for as long as that
		t.Errorf("%v", took)
	}
}

// Whatever Redis does, Close ends everything that was started, soon.
func TestClosedRedisLeavesNothing(t *testing.T) {
	for name, spoil := range map[string]func(*testservices.RedisServer){
		"well": func(*testservices.RedisServer) {}, "hung": (*testservices.RedisServer).Pause, "dead": (*testservices.RedisServer).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			server := testservices.Redis(t)
			before := runtime.NumGoroutine()
			for range 3 {
				r, err := NewRedis(&versions{}, server.URL(), time.Hour, health.New(time.Now, slog.New(slog.DiscardHandler)).Link("redis"))
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				var heard atomic.Bool
				wg.Go(func() { r.Listen(ctx, func(string) bool { return true }, func(wire.Sample) { heard.Store(true) }) })
				if spoil != nil {
					testservices.Await(t, "it listens", func() bool {
						s := at(noon, 1)
						s.DeviceID = "a"
						r.Publish(s)
						return heard.Load()
					})
					latest(t, r, "a")
					if name != "well" {
						spoil(server)
						spoil = nil
					}
				}
				latest(t, r, "a")
				stop()
				began := time.Now()
				wg.Wait()
				r.Close()
				if took := time.Since(began); took > 30*time.Second {
					t.Errorf("Close took %v", took)
				}
			}
			testservices.Await(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
		})
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

func encoded(s wire.Sample) string {
	text, _ := encodeSample(&s)
	return string(text)
}

func show(s wire.Sample) string {
	text, _ := json.Marshal(s)
	return string(text)
}
