//go:build unix

package vps_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres"
	"sunspool/vps/store/redis"
	"sunspool/wire"
)

// bug is a mistake that a server could make, in its store or in its database, and a fault in which it matters.
type bug struct {
	name  string
	plant func(store.Samples) store.Samples
	sql   []string // done to the database once it has its tables
	fault string
	lasts time.Duration
	seen  string // part of what the judge must say
}

var bugs = []bug{
	{name: "acknowledges before the commit", fault: "postgres killed", lasts: 300 * time.Millisecond, seen: "are lost",
		plant: inserting(func(ctx context.Context, next store.Samples, device string, all []wire.Sample) (int, error) {
			go next.Insert(context.WithoutCancel(ctx), device, all)
			return len(all), nil
		})},
	{name: "takes an error of COMMIT for success", fault: "connections to postgres cut", lasts: time.Second, seen: "are lost",
		plant: inserting(func(ctx context.Context, next store.Samples, device string, all []wire.Sample) (int, error) {
			n, err := next.Insert(ctx, device, all)
			if errors.Is(err, io.ErrUnexpectedEOF) || err != nil && strings.Contains(err.Error(), "57P01") {
				return len(all), nil
			}
			return n, err
		})},
	{name: "takes a timeout for success", fault: "postgres hung", lasts: 5500 * time.Millisecond, seen: "are lost",
		plant: inserting(func(ctx context.Context, next store.Samples, device string, all []wire.Sample) (int, error) {
			n, err := next.Insert(ctx, device, all)
			if err != nil && ctx.Err() != nil {
				return len(all), nil
			}
			return n, err
		})},
	{name: "stores a batch in two transactions", fault: "connections to postgres cut", lasts: time.Second, seen: "a part of it was stored before",
		plant: inserting(func(ctx context.Context, next store.Samples, device string, all []wire.Sample) (int, error) {
			n, err := next.Insert(ctx, device, all[:len(all)/2])
			if err != nil {
				return 0, err
			}
			m, err := next.Insert(ctx, device, all[len(all)/2:])
			return n + m, err
		})},
	{name: "answers with what was the newest three seconds ago", fault: "redis flushed", lasts: time.Second, seen: "realtime of vps",
		plant: func(next store.Samples) store.Samples { return &stale{Samples: next, of: map[string]*answer{}} }},
	{name: "leaves out the recomputation of a rollup now and then", fault: "redis flushed", lasts: time.Second, seen: "are not what the samples say",
		sql: []string{`create function leave_out() returns trigger language plpgsql as 'begin if random() < 0.1 then return null; end if; return new; end'`,
			`create trigger leave_out before update on rollups for each row execute function leave_out()`}},
	{name: "stores repetitions", fault: "redis flushed", lasts: 200 * time.Millisecond, seen: "are stored twice",
		sql: []string{`alter table samples drop constraint samples_pkey`, `create index on samples (device_id, ts)`}},
}

// TestPlantedBugsAreSeen: a judge that has nothing to say about a server with a bug proves nothing about one without.
func TestPlantedBugsAreSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: a minute of sequences that fail on purpose")
	}
	t.Parallel() // it mostly waits
	const sites, most = 2, 3
	for i := range sites {
		t.Run(fmt.Sprint("servers-", i), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			for k := i; k < len(bugs); k += sites {
				t.Run(bugs[k].name, func(t *testing.T) {
					var said []string
					for try := range most {
						q := play(t, s, uint64(1+try), []*episode{{fault: faultNamed(bugs[k].fault), lasts: bugs[k].lasts}}, buggyServers(t, s, bugs[k]))
						verdict := q.judge()
						if i := slices.IndexFunc(verdict, func(s string) bool { return strings.Contains(s, bugs[k].seen) }); i >= 0 {
							t.Logf("seen in sequence %d of at most %d: %s", try+1, most, verdict[i])
							return
						}
						said = append(said, first(verdict))
					}
					t.Errorf("%d sequences, and nobody said that something is wrong: %q is not in\n%s", most, bugs[k].seen, strings.Join(said, "\n"))
				})
			}
		})
	}
}

func faultNamed(name string) fault {
	for _, f := range faults {
		if f.name == name {
			return f
		}
	}
	panic(name)
}

// buggyServers are two servers in this process, put together as vps.Run does, with a bug in each.
func buggyServers(t *testing.T, s *site, b bug) servers {
	return func(q *sequence) (bases []string) {
		for range 2 {
			log := slog.New(slog.NewJSONHandler(q.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
			postgres, err := postgres.Open(postgres.Options{URL: s.url, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			samples := store.Samples(postgres)
			if b.plant != nil {
				samples = b.plant(samples)
			}
			cached, err := redis.New(samples, s.redis.URL(), cacheTTL, health.New(time.Now, log).Link("redis"))
			if err != nil {
				t.Fatal(err)
			}
			tokens, err := auth.ParseTokens(deviceTokens(), viewerToken+":*")
			if err != nil {
				t.Fatal(err)
			}
			bases = append(bases, serve(t, (&api.Server{Gate: request.Gate{Tokens: tokens, Log: log}, Devices: deviceinfo.Devices{Store: cached}}).Handler(), cached))
		}
		for _, sql := range b.sql {
			s.must(s.admin(sql))
		}
		return bases
	}
}

// serve serves h until the test ends, then closes its store, and returns the URL.
func serve(t *testing.T, h http.Handler, behind io.Closer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { listener.Serve(ctx, l, nil, h, slog.New(slog.DiscardHandler)) })
	t.Cleanup(func() { cancel(); running.Wait(); behind.Close() })
	return "http://" + l.Addr().String()
}

// inserting returns a store whose Insert is insert.
func inserting(insert func(ctx context.Context, next store.Samples, device string, all []wire.Sample) (int, error)) func(store.Samples) store.Samples {
	return func(next store.Samples) store.Samples { return inserter{next, insert} }
}

type inserter struct {
	store.Samples
	insert func(ctx context.Context, next store.Samples, device string, all []wire.Sample) (int, error)
}

func (i inserter) Insert(ctx context.Context, device string, all []wire.Sample) (int, error) {
	return i.insert(ctx, i.Samples, device, all)
}

// stale says of each device what was its newest sample up to three seconds ago.
type stale struct {
	store.Samples
	mu sync.Mutex
	of map[string]*answer
}

type answer struct {
	wire.Sample
	at time.Time
}

func (s *stale) Latest(ctx context.Context, device string) (wire.Sample, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.of[device]; a != nil && time.Since(a.at) < 3*time.Second {
		return a.Sample, nil
	}
	latest, err := s.Samples.Latest(ctx, device)
	if err == nil {
		s.of[device] = &answer{latest, time.Now()}
	}
	return latest, err
}
