//go:build unix

package vps

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/health"
	"sunspool/vps/services"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres"
	"sunspool/vps/store/redis"
	"sunspool/wire"
)

var fleetDays = flag.Int("fleet-days", 30, "days of one device at 5 s that the reads of BenchmarkFleet are asked of; `make bench-vps` takes 365")

// fleet is a server on a real PostgreSQL and a real Redis, reached through a real listener.
type fleet struct {
	pg      *pgxpool.Pool // past the server
	samples *postgres.Store
	client  *http.Client
	url     string // of the server with its samples cached in the process
	shared  string // of another one that caches in Redis
	empty   string // of a server that only says hello
}

func newFleet(b *testing.B) *fleet {
	f := &fleet{}
	database := services.Postgres(b).NewDatabase(b)
	var err error
	if f.samples, err = postgres.Open(postgres.Options{URL: database}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.samples.Close() })
	if f.pg, err = pgxpool.New(b.Context(), database); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(f.pg.Close)
	var list []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf("%s:inv-%d", deviceToken(i), i))
	}
	tokens, err := ParseTokens(strings.Join(list, ","), "")
	if err != nil {
		b.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	serve := func(h http.Handler) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- Serve(ctx, l, nil, h, quiet) }()
		b.Cleanup(func() { stop(); <-done })
		return "http://" + l.Addr().String()
	}
	f.url = serve((&Server{Store: store.NewCached(f.samples, 5*time.Second), Tokens: tokens, Log: quiet}).Handler())
	f.shared = serve((&Server{Store: openTestRedis(b, services.Redis(b).URL(), f.samples), Tokens: tokens, Log: quiet}).Handler())
	f.empty = serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	f.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	return f
}

func (f *fleet) do(method, url, token string, body []byte) (answer []byte, err error) {
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	w, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	answer, err = io.ReadAll(w.Body)
	if err == nil && w.StatusCode != 200 {
		err = fmt.Errorf("%s: %d %s", url, w.StatusCode, answer)
	}
	return answer, err
}

// houseSample is sample i of a house that is polled every 5 s: the contract and the counters.
func houseSample(device string, from time.Time, i int) wire.Sample {
	t := from.Add(time.Duration(i) * 5 * time.Second)
	tenths := func(v int) *float64 { return new(float64(v) / 10) }
	pv, load := i*37%5000, 200+i*7919%2500
	return wire.Sample{DeviceID: device, Time: t, PVPowerW: float64(pv), PVDailyKWh: tenths(i % 400), BatteryPowerW: new(float64(i%3000 - 1500)),
		BatterySOCPct: tenths(200 + i%800), BatteryTempC: tenths(150 + i%100), LoadPowerW: new(float64(load)), ExportPowerW: new(float64(pv - load)), Count: 1,
		PVTotalKWh: tenths(200_000 + i/50), ImportTotalKWh: tenths(40_000 + i/150), ExportTotalKWh: tenths(90_000 + i/100),
		ChargeTotalKWh: tenths(70_000 + i/200), DischargeTotalKWh: tenths(65_000 + i/200), DirectTotalKWh: tenths(80_000 + i/120)}
}

func houseSamples(device string, from time.Time, first, n int) []wire.Sample {
	all := make([]wire.Sample, n)
	for i := range all {
		all[i] = houseSample(device, from, first+i)
	}
	return all
}

// atOnce calls f from n goroutines for a while, at most so often, each time with the next number.
func atOnce(b *testing.B, n int, during time.Duration, most int, f func(i int) error) (calls int, took time.Duration) {
	var wg sync.WaitGroup
	var next atomic.Int64
	began := time.Now()
	for range n {
		wg.Go(func() {
			for time.Since(began) < during {
				i := int(next.Add(1)) - 1
				if i >= most {
					return
				}
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return min(int(next.Load()), most), time.Since(began)
}

// BenchmarkFleet compares the server on PostgreSQL with the least that could be done on the same machine in the same
// seconds: an INSERT of the same rows by pgx alone, and a handler that only says hello.
func BenchmarkFleet(b *testing.B) {
	f := newFleet(b)
	b.Run("ingest", f.ingest)
	b.Run("realtime", f.realtime)
	b.Run("read", f.read)
}

func (f *fleet) ingest(b *testing.B) {
	if _, err := f.pg.Exec(b.Context(), "create table floor (like samples including all)"); err != nil {
		b.Fatal(err)
	}
	begin := time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, rows := range []int{1, 30, 1000} {
		for _, conns := range []int{1, 4, 16} {
			devices := conns // an edge has a connection and a device
			if rows == 1 {
				devices = 1000 // the many that send each sample by itself
			}
			b.Run(fmt.Sprintf("rows=%d/conns=%d/devices=%d", rows, conns, devices), func(b *testing.B) {
				const turns, turn = 4, time.Second
				var ours, floor, again, floorAgain rate
				for t := range turns { // interleaved, so that a busy machine slows both
					at := begin.AddDate(t, 0, 0)
					batch := func(i int) []wire.Sample {
						return houseSamples(fmt.Sprint("inv-", i%devices), at, i/devices*rows, rows)
					}
					calls := floor.run(b, conns, turn, 1<<20, rows, func(i int) error { return f.insertBare(b.Context(), batch(i)) })
					floorAgain.run(b, conns, turn/4, 1<<20, rows, func(i int) error { return f.insertBare(b.Context(), batch(i%calls)) })
					bodies := make([][]byte, calls)
					for i := range bodies {
						bodies[i] = ingestBody(batch(i))
					}
					calls = ours.run(b, conns, turn, calls, rows, func(i int) error { return f.post(i%devices, bodies[i]) })
					again.run(b, conns, turn/4, 1<<20, rows, func(i int) error { return f.post(i%calls%devices, bodies[i%calls]) })
				}
				begin = begin.AddDate(0, 1, 3) // the next ones are new
				b.ReportMetric(ours.perSecond(), "samples/s")
				b.ReportMetric(100*ours.perSecond()/floor.perSecond(), "%-of-floor")
				b.ReportMetric(100*again.perSecond()/floorAgain.perSecond(), "%-of-floor-repeated")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// rate is how much was done in a time.
type rate struct {
	n    int
	took time.Duration
}

// run calls f from several goroutines for a while, at most so often, and adds what each call does. It returns how often.
func (r *rate) run(b *testing.B, at int, during time.Duration, most, each int, f func(i int) error) int {
	calls, took := atOnce(b, at, during, most, f)
	r.n, r.took = r.n+calls*each, r.took+took
	return calls
}

func (r *rate) perSecond() float64 { return float64(r.n) / r.took.Seconds() }

// post sends a batch of one of the devices.
func (f *fleet) post(device int, body []byte) error {
	_, err := f.do("POST", f.url+wire.IngestPath, deviceToken(device), body)
	return err
}

func deviceToken(i int) string { return fmt.Sprintf("%s-%d", token1, i) }

// ingestBody is made by hand: the client must not be what is measured.
func ingestBody(samples []wire.Sample) []byte {
	b := []byte(`{"samples":[`)
	for i, s := range samples {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"device_id":%q,"ts":"%s","sample_count":1`, s.DeviceID, s.Time.Format(time.RFC3339))
		for _, field := range wire.Fields {
			b = fmt.Appendf(b, `,%q:%v`, field.Name, *field.Get(&s))
		}
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// insertBare is the floor: one statement, one transaction, nothing derived.
func (f *fleet) insertBare(ctx context.Context, samples []wire.Sample) error {
	devices, times, counts := make([]string, len(samples)), make([]time.Time, len(samples)), make([]int32, len(samples))
	columns := make([][]*float64, len(wire.Fields))
	for i, s := range samples {
		devices[i], times[i], counts[i] = s.DeviceID, s.Time, int32(s.Count)
		for k, field := range wire.Fields {
			columns[k] = append(columns[k], field.Get(&s))
		}
	}
	args := []any{devices, times, counts}
	names, unnest := []string{"device_id", "ts", "sample_count"}, "$1::text[], $2::timestamptz[], $3::int[]"
	for k, field := range wire.Fields {
		args = append(args, columns[k])
		names = append(names, field.Name)
		unnest += fmt.Sprintf(", $%d::float8[]", len(args))
	}
	_, err := f.pg.Exec(ctx, "insert into floor ("+strings.Join(names, ",")+") select * from unnest("+unnest+") on conflict do nothing", args...)
	return err
}

func (f *fleet) realtime(b *testing.B) {
	now := houseSamples("inv-0", time.Now().Add(-time.Minute).Truncate(time.Second), 0, 10)
	if err := f.post(0, ingestBody(now)); err != nil {
		b.Fatal(err)
	}
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			var empty, cached, shared rate
			const query = wire.RealtimePath + "?device_id=inv-0"
			for range 3 {
				for _, c := range []struct {
					r   *rate
					url string
				}{{&empty, f.empty}, {&cached, f.url + query}, {&shared, f.shared + query}} {
					c.r.run(b, clients, 500*time.Millisecond, 1<<20, 1, func(int) error {
						_, err := f.do("GET", c.url, deviceToken(0), nil)
						return err
					})
				}
			}
			b.ReportMetric(cached.perSecond(), "answers/s")
			b.ReportMetric(100*cached.perSecond()/empty.perSecond(), "%-of-empty-in-process")
			b.ReportMetric(100*shared.perSecond()/empty.perSecond(), "%-of-empty-redis")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// read asks for what a dashboard asks, of a device with a sample every 5 s and of one with a sample every minute: the
// ratio says whether the number of samples matters.
func (f *fleet) read(b *testing.B) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		b.Fatal(err)
	}
	end := time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC) // a year ends there
	begin := end.AddDate(0, 0, -*fleetDays)
	loading := time.Now()
	for _, density := range []struct {
		device string
		every  int // of the samples of 5 s
	}{{"dense", 1}, {"sparse", 12}} {
		n := *fleetDays * 17280
		for i := 0; i < n; i += 4000 * density.every {
			var some []wire.Sample
			for k := i; k < min(n, i+4000*density.every); k += density.every {
				some = append(some, houseSample(density.device, begin, k))
			}
			if _, err := f.samples.Insert(b.Context(), density.device, some); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Logf("%d days of a device at 5 s and at 60 s loaded in %v", *fleetDays, time.Since(loading).Round(time.Second))
	if _, err := f.pg.Exec(b.Context(), "vacuum analyze"); err != nil {
		b.Fatal(err)
	}
	tokens, err := ParseTokens("viewer-dense-0123456789:dense,viewer-sparse-0123456789:sparse,"+token1+":x", token1+"v:*")
	if err != nil {
		b.Fatal(err)
	}
	s := &Server{Store: f.samples, Tokens: tokens, Log: slog.New(slog.DiscardHandler), Zone: zone, Now: func() time.Time { return end.Add(-time.Hour) }}
	api := s.Handler()
	last := end.Add(-time.Hour).In(zone).Format(time.DateOnly)
	for _, c := range []struct{ name, target string }{
		{"series/frame=day", "/v1/series?frame=day&partial=1"},
		{"series/frame=month", "/v1/series?frame=month&partial=1"},
		{"series/frame=year", "/v1/series?frame=year&partial=1"},
		{"series/frame=all", "/v1/series?frame=all&partial=1"},
		{"series/day-of-5m", "/v1/series?resolution=5m&from=" + last + "&to=" + last},
		{"energy/day", "/v1/energy?resolution=hour&from=" + last + "&to=" + last},
		{"energy/month", "/v1/energy?resolution=day&from=2025-12-01&to=" + last},
		{"energy/year", "/v1/energy?resolution=month&from=2025-01-01&to=" + last},
		{"energy/year-of-days", "/v1/energy?resolution=day&from=2025-01-01&to=" + last},
		{"energy/all", "/v1/energy?resolution=year&from=2012-01-01&to=" + last},
	} {
		b.Run(c.name, func(b *testing.B) {
			took := map[string][]time.Duration{}
			for range 30 {
				for _, device := range []string{"dense", "sparse"} {
					began := time.Now()
					w := do(api, "GET", c.target+"&device_id="+device, token1+"v", nil)
					took[device] = append(took[device], time.Since(began))
					if w.Code != 200 {
						b.Fatal(c.target, w.Code, w.Body)
					}
				}
			}
			median := func(device string) float64 {
				slices.Sort(took[device])
				return took[device][len(took[device])/2].Seconds() * 1000
			}
			b.ReportMetric(median("dense"), "ms")
			b.ReportMetric(took["dense"][len(took["dense"])*95/100].Seconds()*1000, "p95-ms")
			b.ReportMetric(median("dense")/median("sparse"), "x-for-12x-samples")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func openTestRedis(b *testing.B, address string, samples store.Samples) store.Samples {
	b.Helper()
	r, err := redis.New(samples, address, 5*time.Second, health.New(time.Now, slog.New(slog.DiscardHandler)).Link("redis"))
	if err != nil {
		b.Fatal(err)
	}
	return r
}
