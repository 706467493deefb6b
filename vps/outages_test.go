//go:build unix

package vps_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
	"sunspool/settings"
	"sunspool/vps"
)

var (
	outages    = flag.Int("outages", len(faults)/2, "sequences of outages that TestOutagesLoseNothing plays; `make test-outages` plays 200")
	outageSeed = flag.Uint64("outage-seed", 1, "seed of the first of them; the others follow")
)

const (
	houses   = 5
	slowest  = 20 * time.Second       // any answer; a client waits for 30 s
	recovery = 15 * time.Second       // after a fault's end, on each server
	redisP99 = 300 * time.Millisecond // while nothing but Redis fails
)

// TestOutagesLoseNothing plays random sequences of outages against two vps on one PostgreSQL and one Redis, while edges
// send and readers read. One vps runs in this process, the other is the program in a process of its own. When all is
// over, what was acknowledged must be stored, once, and what every answer said along the way must have been true.
func TestOutagesLoseNothing(t *testing.T) {
	if testing.Short() {
		*outages = min(*outages, 2)
	}
	program := testprogram.Path(t)
	var sum summary
	t.Run("sequences", func(t *testing.T) {
		const sites = 2
		for i := range min(sites, *outages) {
			t.Run(fmt.Sprint("servers-", i), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				for n := i; n < *outages; n += sites {
					seed := *outageSeed + uint64(n)
					t.Run(fmt.Sprint("seed-", seed), func(t *testing.T) {
						q := play(t, s, seed, schedule(seed), twoServers(t, s, program))
						if verdict := q.judge(); len(verdict) > 0 {
							t.Errorf("%s\nto see it again: go test ./vps -run TestOutagesLoseNothing -v -outages 1 -outage-seed %d", first(verdict), seed)
							t.Log(q.log.tail())
						}
						sum.add(q)
					})
				}
			})
		}
	})
	t.Log(sum.String())
}

// newSite starts the services of some sequences.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, redis: testservices.Redis(t), pg: testservices.Postgres(t, testservices.OnSmallDisk(320), testservices.Set("max_connections", "70"))}
	s.redis.Resume() // skips the test here if it is not ours to stop
	return s
}

// episode is a fault of a sequence.
type episode struct {
	fault
	lasts        time.Duration
	began, ended time.Time
	recovered    time.Duration // after its end, until each server had stored something
}

// schedule is a pure function of the seed. As many seeds in a row as there are pairs of faults have each fault once, and
// every such row pairs them anew. Redis comes first: what is left of an outage of PostgreSQL would hide how it does.
func schedule(seed uint64) (all []*episode) {
	pairs := uint64(len(faults) / 2)
	deal := rand.New(rand.NewPCG((seed-1)/pairs, 19)).Perm(len(faults))
	r := rand.New(rand.NewPCG(seed, 20))
	for _, card := range deal[(seed-1)%pairs*2:][:2] {
		f := faults[card]
		lasts := time.Duration(200+r.IntN(6800)) * time.Millisecond
		if hangs := strings.Contains(f.name, "hung") || strings.Contains(f.name, "locked"); hangs && r.IntN(2) == 0 {
			lasts = time.Duration(5200+r.IntN(1800)) * time.Millisecond // longer than anybody waits
		}
		all = append(all, &episode{fault: f, lasts: lasts})
	}
	slices.SortStableFunc(all, func(a, b *episode) int { return cmp.Compare(a.on&^(onRedis|byTurns), b.on&^(onRedis|byTurns)) })
	return all
}

// sequence is what happened at a site.
type sequence struct {
	*load
	site     *site
	log      *buffer
	episodes []*episode
	began    time.Time     // of the load
	warm     time.Time     // from here on nothing fails but by a fault
	ended    time.Time     // when all was delivered
	stalled  time.Duration // p99 of how late the machine let run who wanted to
	worst    time.Duration // the most of that
}

// servers starts the servers of a sequence and returns their URLs.
type servers func(q *sequence) (bases []string)

// play plays one sequence to its end.
func play(t *testing.T, s *site, seed uint64, episodes []*episode, start servers) *sequence {
	q := &sequence{site: s, log: &buffer{}, episodes: episodes}
	s.t, s.url, s.told = t, s.pg.NewDatabase(t), nil
	random := rand.New(rand.NewPCG(seed, 21))
	q.load = newLoad(random, houses, start(q)...)
	q.began = time.Now()
	stalls := testservices.Stalls(t)
	stop := q.load.start(random)
	q.awaitStored(q.began)
	s.awaitRedis(len(q.bases))
	q.warm = time.Now()
	time.Sleep(300 * time.Millisecond)
	for _, e := range episodes {
		e.began = time.Now()
		e.play(s, e.lasts)
		e.ended = time.Now()
		e.recovered = q.awaitStored(e.ended)
		time.Sleep(time.Duration(50+random.IntN(250)) * time.Millisecond)
	}
	stop()
	q.ended = time.Now()
	q.stalled, q.worst = stalls()
	return q
}

// awaitStored waits until each server has stored a batch that was sent after t, and returns how long after t that was.
func (q *sequence) awaitStored(t time.Time) time.Duration {
	for {
		first := map[int]time.Time{}
		for _, a := range q.since(t) {
			if was, seen := first[a.vps]; a.stored() && (!seen || a.ended.Before(was)) {
				first[a.vps] = a.ended
			}
		}
		if len(first) == len(q.bases) {
			return slices.MaxFunc(slices.Collect(maps.Values(first)), time.Time.Compare).Sub(t)
		}
		if time.Since(t) > testservices.Patience {
			return time.Since(t)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// twoServers are a vps in this process and one in another.
func twoServers(t *testing.T, s *site, program string) servers {
	return func(q *sequence) []string {
		address := fmt.Sprint("127.0.0.1:", testservices.FreePort(t))
		s.program = testservices.Program(t, "vps", []string{program, "vps"}, []string{
			"DATABASE_URL=" + s.url, "REDIS_URL=" + s.redis.URL(), "DEVICE_TOKENS=" + deviceTokens(), "VIEWER_TOKENS=" + viewerToken + ":*",
			"LISTEN_ADDR=" + address, "INTERNAL_ADDR=", "CACHE_TTL_S=1", "LOG_LEVEL=warn",
		}, func() error { return answers("http://" + address) })
		return []string{runVPS(t, s, q.log), "http://" + address}
	}
}

func deviceTokens() string {
	var list []string
	for i := range houses {
		device := fmt.Sprint("house-", i)
		list = append(list, tokenOf(device)+":"+device)
	}
	return strings.Join(list, ",")
}

// runVPS runs a vps in this process until the test ends, and returns its URL.
func runVPS(t *testing.T, s *site, log *buffer) string {
	t.Helper()
	listening := make(chan string, 1)
	cfg := vps.Config{DatabaseURL: settings.Secret(s.url), RedisURL: settings.Secret(s.redis.URL()), CacheTTLS: cacheTTL.Seconds(),
		DeviceTokens: settings.Secret(deviceTokens()), ViewerTokens: settings.Secret(viewerToken + ":*"), ListenAddr: "127.0.0.1:0",
		Listening: func(public, _ net.Addr) { listening <- "http://" + public.String() }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- vps.Run(ctx, cfg, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	}()
	select {
	case err := <-done:
		t.Fatal(err)
	case base := <-listening:
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		return base
	}
	panic("not reached")
}

func answers(base string) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	w, err := client.Get(base + "/health")
	if err == nil {
		w.Body.Close()
	}
	return err
}

// buffer keeps what the vps of this process says.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) tail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.Bytes()
	return string(text[max(0, len(text)-4000):])
}

// summary is what sequences say together.
type summary struct {
	mu                                         sync.Mutex
	sequences, samples, batches, attempts      int
	refused, gaveUp, cut, unsure, again, turns int
	slowest                                    time.Duration
	redisOnly                                  []time.Duration
	recovered                                  map[string][]time.Duration // by fault
	refusedIn                                  map[string]int             // inserts, likewise
	took                                       time.Duration
}

func (s *summary) add(q *sequence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sequences++
	s.took += q.ended.Sub(q.began)
	for _, h := range q.houses {
		s.batches += len(h.done)
		for _, b := range h.done {
			s.samples += len(b.samples)
			if b.unsure {
				s.unsure++
			}
			if b.inserted == 0 {
				s.again++
			}
		}
	}
	ready := map[int]int{}
	for _, a := range q.attempts {
		s.attempts++
		switch {
		case a.gaveUp:
			s.gaveUp++
			continue
		case a.err != nil:
			s.cut++
		case a.what == "ready":
			if was, known := ready[a.vps]; known && was != a.status {
				s.turns++
			}
			ready[a.vps] = a.status
		case a.status == http.StatusServiceUnavailable:
			s.refused++
		}
		s.slowest = max(s.slowest, a.ended.Sub(a.began))
	}
	s.redisOnly = append(s.redisOnly, q.redisOnly()...)
	if s.recovered == nil {
		s.recovered, s.refusedIn = map[string][]time.Duration{}, map[string]int{}
	}
	for _, e := range q.episodes {
		s.recovered[e.name] = append(s.recovered[e.name], e.recovered)
		for _, a := range q.attempts {
			if a.storeFailed() && a.ended.After(e.began) && a.began.Before(e.ended) {
				s.refusedIn[e.name]++
			}
		}
	}
}

func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sequences of %v: %d samples in %d batches, each stored once; %d requests, %d refused by 503, %d without an answer, %d given up by the client; ",
		s.sequences, (s.took / time.Duration(max(s.sequences, 1))).Round(100*time.Millisecond), s.samples, s.batches, s.attempts, s.refused, s.cut, s.gaveUp)
	fmt.Fprintf(&b, "%d batches whose outcome was unknown, %d of them were stored by an attempt that seemed to fail; slowest answer %v; ", s.unsure, s.again, s.slowest.Round(time.Millisecond))
	fmt.Fprintf(&b, "/ready changed %d times; with only Redis failing p99 %v of %d requests\n", s.turns, percentile(s.redisOnly, 99).Round(time.Millisecond), len(s.redisOnly))
	for _, f := range faults {
		if all := s.recovered[f.name]; all != nil {
			fmt.Fprintf(&b, "%4d x %-40s %5d inserts refused, back after %v, at most %v\n", len(all), f.name, s.refusedIn[f.name], percentile(all, 50).Round(time.Millisecond), slices.Max(all).Round(time.Millisecond))
		}
	}
	return b.String()
}

// percentile returns the p-th percentile of some times, 0 of none.
func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[min(len(all)*p/100, len(all)-1)]
}
