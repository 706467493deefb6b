//go:build unix

package vps

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/internal/vpstest"
	"sunspool/settings"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// peer is one of several that serve the same devices from one database.
type peer struct {
	*api.Server
	addr string
	log  *logBuffer
}

// shared is a database that outlives each process.
type shared struct{ store.Samples }

func (shared) Close() error { return nil }

// startProcesses serves a new database by n servers over real connections. An empty redisURL is a cache in each.
func startProcesses(t testing.TB, n int, redisURL string) []*peer {
	t.Helper()
	bolt, err := bolt.Open(filepath.Join(t.TempDir(), "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bolt.Close() })
	began := time.Now()
	all := make([]*peer, n)
	for i := range all {
		p := &peer{log: new(logBuffer)}
		log := slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		cfg := Config{RedisURL: settings.Secret(redisURL), CacheTTLS: 5}
		chain := health.New(time.Now, log)
		samples, others, err := cfg.cached(shared{bolt}, chain)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := auth.ParseTokens(token1+":inv-1", "")
		if err != nil {
			t.Fatal(err)
		}
		p.Server = &api.Server{Gate: request.Gate{Tokens: tokens, Log: log, Now: func() time.Time { return testNow.Add(time.Since(began)) }},
			Devices: deviceinfo.Devices{Store: samples}, Others: others, Chain: chain}
		p.addr = serveFor(t, p.Handler())
		ctx, cancel := context.WithCancel(context.Background())
		var listening sync.WaitGroup
		if others != nil {
			listening.Go(func() { p.Listen(ctx) })
		}
		t.Cleanup(func() { cancel(); listening.Wait(); samples.Close() })
		all[i] = p
	}
	return all
}

// serveFor serves h until the test ends, and returns where.
func serveFor(t testing.TB, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- listener.Serve(ctx, l, nil, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() { cancel(); <-done })
	return l.Addr().String()
}

// request returns the answer's body; an error of the connection is one of the test.
func roundTrip(t testing.TB, client *http.Client, method, url string, body []byte) (int, string) {
	t.Helper()
	r, _ := http.NewRequest(method, url, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token1)
	answer, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(text)
}

// ingest sends a sample of pv W, and as many ms after testNow.
func (p *peer) ingest(t testing.TB, pv int) {
	t.Helper()
	s := with(fields(-time.Duration(pv)*time.Millisecond), "pv_power_w", pv)
	if code, text := roundTrip(t, http.DefaultClient, "POST", "http://"+p.addr+wire.IngestPath, []byte(bodyOf(s))); code != 200 || text != `{"inserted":1}` {
		t.Errorf("ingest: %d %s", code, text)
	}
}

func (p *peer) realtimePV(t testing.TB) (pv int) {
	t.Helper()
	_, text := roundTrip(t, http.DefaultClient, "GET", "http://"+p.addr+wire.RealtimePath+"?device_id=inv-1", nil)
	_, after, _ := strings.Cut(text, `"pv_power_w":`)
	fmt.Sscan(after, &pv)
	return pv
}

func (p *peer) stream(t testing.TB) <-chan event {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return follow(t, conn, "inv-1", token1)
}

// hears reads sample events until one is of pv, and reports whether it came before an end that is looked for now and then.
func hears(events <-chan event, pv int, ended func() bool) bool {
	want := fmt.Sprintf(`"pv_w":%d,`, pv)
	for began := time.Now(); time.Since(began) < testservices.Patience && !ended(); {
		select {
		case e := <-events:
			if e.Name == "sample" && strings.Contains(e.Data, want) {
				return true
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false
}

// pair are two processes on one database and one Redis, and a stream of each.
type pair struct {
	peers   []*peer
	streams []<-chan event
	pv      int // that was stored last
}

// broken is how often a process has left Redis alone: one that is late on a busy machine, for a second or more.
func (p *pair) broken() (times int) {
	for _, peer := range p.peers {
		times += strings.Count(peer.log.String(), "link broken")
	}
	return times
}

// meet returns once each has what the other stores, and nothing else waits in the streams.
func (p *pair) meet(t *testing.T) {
	t.Helper()
	for _, from := range p.peers {
		testservices.Await(t, "both have what one stores", func() bool { // a process listens a second after it connected
			p.pv++
			from.ingest(t, p.pv)
			soon := time.Now().Add(200 * time.Millisecond)
			for i, peer := range p.peers {
				if peer.realtimePV(t) != p.pv || !hears(p.streams[i], p.pv, func() bool { return time.Now().After(soon) }) {
					return false
				}
			}
			return true
		})
	}
}

// round has one of them store something, and returns what is wrong with the answers and the streams of both.
func (p *pair) round(t *testing.T, i int) string {
	t.Helper()
	p.pv++
	p.peers[i%2].ingest(t, p.pv)
	for j, peer := range p.peers {
		if got := peer.realtimePV(t); got != p.pv {
			return fmt.Sprintf("process %d says %d W, %d W were stored", j, got, p.pv)
		}
	}
	was, samples := p.broken(), make([]event, 2)
	for j, events := range p.streams {
		for began := time.Now(); samples[j].Name != "sample"; {
			select {
			case samples[j] = <-events:
			case <-time.After(50 * time.Millisecond):
				if p.broken() != was || time.Since(began) > testservices.Patience {
					return fmt.Sprintf("stream %d got nothing", j)
				}
			}
		}
	}
	if a, b := samples[0], samples[1]; a.ID != b.ID || !strings.Contains(a.Data, fmt.Sprintf(`"pv_w":%d,`, p.pv)) {
		return fmt.Sprintf("the streams got %v and %v", a, b)
	}
	return ""
}

// Two processes on one database and one Redis: what one stored is at once in the answers and in the streams of both,
// once.
func TestProcessesShareWhatIsNew(t *testing.T) {
	server := testservices.Redis(t)
	both := startProcesses(t, 2, server.URL())
	p := &pair{peers: both, streams: []<-chan event{both[0].stream(t), both[1].stream(t)}, pv: 1000}
	p.meet(t)
	for i, disturbed := 0, 0; i < 200; {
		was := p.broken()
		wrong := p.round(t, i)
		if wrong == "" {
			i++
			continue
		}
		// A process whose Redis was late says so, a moment later: what is new is not promised to be there then.
		for began := time.Now(); p.broken() == was; time.Sleep(10 * time.Millisecond) {
			if time.Since(began) > 5*time.Second {
				t.Fatalf("round %d: %s", i, wrong)
			}
		}
		if disturbed++; disturbed > 20 {
			t.Fatalf("round %d: %s, and Redis is late again and again", i, wrong)
		}
		p.meet(t)
	}
	time.Sleep(100 * time.Millisecond)
	for j, events := range p.streams {
		if again := of("sample", events); len(again) > 0 {
			t.Errorf("stream %d got %d samples again", j, len(again))
		}
	}

	var before []int // a busy machine may have let Redis be late
	for _, peer := range both {
		before = append(before, strings.Count(peer.log.String(), "link broken"))
	}
	server.Kill() // each has its own streams still
	p.pv++
	both[0].ingest(t, p.pv)
	if !hears(p.streams[0], p.pv, func() bool { return false }) {
		t.Error("without Redis a process does not hear itself")
	}
	if got := both[1].realtimePV(t); got != p.pv {
		t.Errorf("without Redis: %d W, %d W were stored", got, p.pv)
	}
	for i, peer := range both {
		if text := peer.log.String(); strings.Count(text, "link broken") > before[i]+1 || strings.Contains(text, "panic") {
			t.Error(text)
		}
	}
}

// Redis hangs, dies and comes back under the requests of four readers and an edge: each is answered, rightly and soon.
func TestRequestsDoNotFeelRedis(t *testing.T) {
	server := testservices.Redis(t)
	both := startProcesses(t, 2, server.URL())
	both[0].ingest(t, 1)
	var mu sync.Mutex
	var took []time.Duration
	stop := make(chan struct{})
	stalls := testservices.Stalls(t)
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := 2; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
				}
				began := time.Now()
				method, path, body := "GET", wire.RealtimePath+"?device_id=inv-1", ""
				if i == 0 {
					s := with(fields(0), "ts", both[0].Now().Format(time.RFC3339Nano))
					method, path, body = "POST", wire.IngestPath, bodyOf(s)
				}
				if code, text := roundTrip(t, client, method, "http://"+both[i%2].addr+path, []byte(body)); code != 200 {
					t.Errorf("%s: %d %s", method, code, text)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	for _, spoil := range []func(){server.Pause, server.Resume, server.Kill, server.Start} {
		time.Sleep(1500 * time.Millisecond)
		spoil()
	}
	time.Sleep(1500 * time.Millisecond)
	close(stop)
	wg.Wait()
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d requests, p50 %v, p99 %v, worst %v", len(took), took[len(took)/2], p99, took[len(took)-1])
	if usual, _ := stalls(); p99 > 300*time.Millisecond+20*usual { // a request is many turns of several processes
		t.Errorf("p99 %v; the machine itself is late by %v", p99, usual)
	}
}

// BenchmarkRealtime compares the newest sample from either cache with an answer that says nothing, over real
// connections in the same run.
func BenchmarkRealtime(b *testing.B) {
	server := testservices.Redis(b)
	addrs := []string{
		serveFor(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })),
		startProcesses(b, 1, "")[0].addr, startProcesses(b, 1, server.URL())[0].addr,
	}
	for _, addr := range addrs[1:] {
		if code, _ := roundTrip(b, http.DefaultClient, "POST", "http://"+addr+wire.IngestPath, vpstest.ContractBody(1, testNow)); code != 200 {
			b.Fatal(code)
		}
	}
	time.Sleep(time.Second) // until Redis is used
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			var spent [3]time.Duration
			askers := make([][]*asker, len(addrs))
			for i, addr := range addrs {
				for range clients {
					askers[i] = append(askers[i], newAsker(b, addr))
				}
			}
			const burst = 200
			for b.Loop() { // interleaved, so that a busy machine slows all
				for i := range addrs {
					began := time.Now()
					var wg sync.WaitGroup
					for _, a := range askers[i] {
						wg.Go(func() {
							for range burst {
								a.ask(b)
							}
						})
					}
					wg.Wait()
					spent[i] += time.Since(began)
				}
			}
			rate := func(i int) float64 { return float64(b.N*clients*burst) / spent[i].Seconds() }
			b.ReportMetric(rate(0), "empty/s")
			b.ReportMetric(100*rate(1)/rate(0), "%_by_cache")
			b.ReportMetric(100*rate(2)/rate(0), "%_by_redis")
		})
	}
}

// asker asks for the newest sample again and again, and costs next to nothing itself.
type asker struct {
	conn    net.Conn
	answer  *bufio.Reader
	request []byte
}

func newAsker(t testing.TB, addr string) *asker {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &asker{conn, bufio.NewReader(conn), []byte("GET " + wire.RealtimePath + "?device_id=inv-1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token1 + "\r\n\r\n")}
}

func (a *asker) ask(t testing.TB) {
	if _, err := a.conn.Write(a.request); err != nil {
		t.Error(err)
		return
	}
	length := 0
	for first := true; ; first = false {
		line, err := a.answer.ReadSlice('\n')
		if err != nil || first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			t.Errorf("%s %v", line, err)
			return
		}
		if digits, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(string(digits)))
		}
		if len(line) == 2 {
			break
		}
	}
	if _, err := a.answer.Discard(length); err != nil || length == 0 {
		t.Errorf("%d bytes, %v", length, err)
	}
}
