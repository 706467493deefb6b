package vps

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sunspool/vps/services"
	"sunspool/wire"
)

var hostileTime = flag.Duration("hostile-time", 0, "how long 19 hostile tokens are at it, each time; not at all without it")

// connectionsEach is how many connections a hostile token uses. With 19 of them 30 are more than there are; the short form has
// fewer, because all callers take their time from the same processors.
func connectionsEach() int {
	if *hostileTime < 30*time.Second {
		return 10
	}
	return 30
}

// TestNineteenHostileTokensStopNobody: of 20 tokens 19 are hostile, each in its own way, and so are as many callers without
// one. The edge and reader with the twentieth is answered 200 each time, about as soon as when it is alone, and memory
// stays small: on both stores, direct and through Caddy.
func TestNineteenHostileTokensStopNobody(t *testing.T) {
	if *hostileTime == 0 {
		t.Skip("SKIPPED: make test-tokens")
	}
	path := built(t)
	for _, where := range []string{"file", "postgres"} {
		for _, proxied := range []bool{false, true} {
			name := where
			if proxied {
				name += " behind Caddy"
			}
			t.Run(name, func(t *testing.T) {
				var env []string
				if where == "postgres" {
					env = append(env, "DATABASE_URL="+services.SharedPostgres(t).URL())
				}
				nineteenAgainstOne(t, path, proxied, env...)
			})
		}
	}
}

func hostileToken(i int) string { return fmt.Sprintf("hostile-%02d-0123456789abcdef", i) }

func nineteenAgainstOne(t *testing.T, path string, proxied bool, env ...string) {
	tokens := []string{goodToken + ":roof"}
	for i := range hostileWays[1:] {
		tokens = append(tokens, fmt.Sprintf("%s:evil-%d", hostileToken(i+1), i+1))
	}
	p := startProcess(t, path, append(env, "DEVICE_TOKENS="+strings.Join(tokens, ","), "VIEWER_TOKENS="+hostileToken(0)+":*", "TRUSTED_PROXIES=127.0.0.0/8,::1", "LOG_LEVEL=info")...)
	f := &front{address: p.public}
	base := "http://" + p.public
	var transport http.Transport
	if proxied {
		d := doorTo(t, p.public)
		f = &front{d.address, d.config}
		base, transport.TLSClientConfig = "https://"+d.address, d.config
	}
	fillForHostile(t, base, &transport)

	alone := newGoodClient(p.public, goodToken, "roof")
	alone.url = base
	alone.kept.Transport = transport.Clone()
	fresh := transport.Clone()
	fresh.DisableKeepAlives = true
	alone.fresh.Transport = fresh
	alone.run(t.Context(), 50)

	ctx, end := context.WithCancel(t.Context())
	defer end()
	var hostile sync.WaitGroup
	var done [len(hostileWays)]atomic.Int64
	for i, way := range hostileWays {
		for n := range connectionsEach() {
			hostile.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), uint64(n)))
				for ctx.Err() == nil {
					f.attack(ctx, way.run, i, n, r)
					done[i].Add(1)
					sleep(ctx, time.Duration(300+r.IntN(1200))*time.Millisecond)
				}
			})
		}
	}
	good := newGoodClient(p.public, goodToken, "roof")
	good.url, good.kept, good.fresh = base, alone.kept, alone.fresh
	good.from(alone)
	for began := time.Now(); time.Since(began) < *hostileTime || len(good.took) < 20; {
		good.run(t.Context(), 10)
		if len(good.problems) > 20 || time.Since(began) > *hostileTime+time.Minute {
			break
		}
	}
	end()
	hostile.Wait()

	for _, problem := range slices.Concat(alone.problems, good.problems) {
		t.Error("good client:", problem)
	}
	for i, way := range hostileWays {
		if done[i].Load() == 0 {
			t.Errorf("nothing was done by: %s", way.name)
		}
	}
	t.Logf("good client: %d requests, p50 %v, p99 %v, longest %v; alone %d, p50 %v, p99 %v", len(good.took), good.quantile(.5), good.quantile(.99),
		good.quantile(1), len(alone.took), alone.quantile(.5), alone.quantile(.99))
	// Attackers, Caddy, database and server share this machine: where a client alone is slow they are not why.
	limit, of := max(200*time.Millisecond, 20*alone.quantile(.99)), .99
	if len(good.took) < 500 {
		of = .9
	}
	if took := good.quantile(of); took >= limit || len(good.took) < 20 {
		t.Errorf("of %d requests of the good client %.0f %% took up to %v, not below %v", len(good.took), 100*of, took, limit)
	}
	// The pages of the file that the store has mapped are the system's, which takes them when it needs them.
	var file int
	if at := strings.Index(p.proc("status"), "RssFile:"); at >= 0 {
		fmt.Sscan(p.proc("status")[at+len("RssFile:"):], &file)
	}
	memory := p.mostMemory()
	t.Logf("resident memory: at most %d MiB, of them %d MiB of files", memory, file>>10)
	if memory -= file >> 10; memory >= 128 {
		t.Errorf("%d MiB were resident, not below 128", memory)
	}
	p.until("all places are free", func() bool {
		return strings.Contains(p.answer(p.internal, wire.MetricsPath), "sunspool_http_requests_in_flight 0")
	})
	p.end(syscall.SIGTERM)
	if said := p.said(); strings.Contains(said, `"level":"ERROR"`) || strings.Contains(said, "panic") {
		t.Errorf("the log: %.2000s", said)
	}
}

// fillForHostile gives two devices more than a year of hours, so that there is something expensive to ask.
func fillForHostile(t *testing.T, base string, transport *http.Transport) {
	t.Helper()
	client := &http.Client{Transport: transport, Timeout: services.Patience}
	now := time.Now()
	for _, i := range []int{4, 5} {
		for from := 0; from < 10_000; from += 1000 {
			var b wire.Batch
			for k := range 1000 {
				at := now.Add(-time.Duration(from+k) * time.Hour).Truncate(time.Millisecond)
				b.Samples = append(b.Samples, wire.Sample{DeviceID: fmt.Sprint("evil-", i), Time: at, PVPowerW: float64(k), Count: 1})
			}
			body, _ := json.Marshal(b)
			r, _ := http.NewRequestWithContext(t.Context(), "POST", base+wire.IngestPath, bytes.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+hostileToken(i))
			answer, err := client.Do(r)
			if err != nil || answer.StatusCode != 200 {
				t.Fatalf("%v %v", answer, err)
			}
			answer.Body.Close()
		}
	}
	client.CloseIdleConnections()
}

// front is where callers connect, with TLS where config is not nil.
type front struct {
	address string
	config  *tls.Config
}

// attack is one hostile connection. It ends with ctx.
func (f *front) attack(ctx context.Context, way func(*enemy), i, n int, r *rand.Rand) {
	raw, err := net.DialTimeout("tcp", f.address, 5*time.Second)
	if err != nil {
		return
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	raw.SetDeadline(time.Now().Add(30 * time.Second))
	raw.(*net.TCPConn).SetReadBuffer(8 << 10)
	e := &enemy{Conn: raw, ctx: ctx, rand: r, number: n, token: hostileToken(i), device: fmt.Sprint("evil-", i)}
	if f.config != nil {
		e.Conn = tls.Client(raw, f.config)
	}
	e.answers = bufio.NewReader(e.Conn)
	way(e)
}

// enemy is a hostile token on one connection.
type enemy struct {
	net.Conn
	ctx           context.Context
	number        int // of the connection, of those of this token
	rand          *rand.Rand
	answers       *bufio.Reader
	token, device string
}

// ask sends the head of a request.
func (e *enemy) ask(method, target string, headers ...string) {
	fmt.Fprintf(e, "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s\r\n", method, target, e.token, strings.Join(append(headers, ""), "\r\n"))
}

// take reads an answer, and reports whether another one may follow.
func (e *enemy) take() bool {
	answer, err := http.ReadResponse(e.answers, nil)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil && !answer.Close
}

// hold keeps the connection, sending a byte now and then, until the server ends it.
func (e *enemy) hold(drip string) {
	go io.Copy(io.Discard, e.answers)
	for sleep(e.ctx, 500*time.Millisecond) {
		if _, err := io.WriteString(e, drip); err != nil {
			return
		}
	}
}

// stall keeps the connection and reads nothing.
func (e *enemy) stall() { sleep(e.ctx, 10*time.Second) }

// upload sends a batch, on one connection of the token: what many of them cost the others is what an insert costs.
func (e *enemy) upload(n int, apart time.Duration, headers ...string) {
	if e.number > 0 {
		e.stall()
		return
	}
	b := wire.Batch{}
	start := time.Now().Add(-time.Duration(e.rand.IntN(1000)) * time.Hour)
	for i := range n {
		b.Samples = append(b.Samples, wire.Sample{DeviceID: e.device, Time: start.Add(time.Duration(i) * apart), PVPowerW: 1, Count: 1})
	}
	body, _ := json.Marshal(b)
	e.ask("POST", wire.IngestPath, append(headers, fmt.Sprint("Content-Length: ", len(body)))...)
	e.Write(body)
}

// hostileWays are what 19 tokens do; the first is a viewer of every device.
var hostileWays = [...]struct {
	name string
	run  func(*enemy)
}{
	{"asks for devices that do not exist", func(e *enemy) {
		for range 20 {
			if e.ask("GET", fmt.Sprintf("/v1/series?frame=day&device_id=none-%d-%s", e.rand.Int64(), strings.Repeat("x", 30))); !e.take() {
				return
			}
		}
	}},
	{"uploads that never end", func(e *enemy) {
		e.ask("POST", wire.IngestPath, "Content-Length: 5000")
		e.hold("[")
	}},
	{"reads with a body that never comes", func(e *enemy) {
		e.ask("GET", "/v1/realtime?device_id="+e.device, "Content-Length: 5000")
		e.hold("[")
	}},
	{"streams", func(e *enemy) {
		e.ask("GET", "/v1/stream?device_id="+e.device)
		e.hold("")
	}},
	{"exports that nobody reads", func(e *enemy) {
		e.ask("GET", "/v1/export.csv?device_id=evil-4&resolution=1h&from=2020-01-01")
		e.stall()
	}},
	{"expensive reads", func(e *enemy) {
		for range 2 {
			from := time.Now().Add(-410 * 24 * time.Hour).UTC().Format(time.RFC3339)
			if e.ask("GET", "/v1/energy?device_id=evil-5&resolution=hour&from="+from); !e.take() {
				return
			}
		}
	}},
	{"dense uploads", func(e *enemy) {
		e.upload(200, time.Millisecond)
		e.take()
	}},
	{"NUL and other names that are none", func(e *enemy) {
		for _, device := range []string{"%00", "evil-7%00", "%ff", strings.Repeat("x", 5000)} {
			if e.ask("GET", "/v1/realtime?device_id="+device); !e.take() {
				return
			}
		}
	}},
	{"bodies that are too large", func(e *enemy) {
		e.ask("POST", wire.IngestPath, "Transfer-Encoding: chunked")
		for range 2000 {
			if _, err := fmt.Fprintf(e, "1000\r\n%s\r\n", strings.Repeat(" ", 4096)); err != nil {
				return
			}
		}
	}},
	{"gzip bombs", func(e *enemy) {
		e.ask("POST", wire.IngestPath, "Content-Encoding: gzip", fmt.Sprint("Content-Length: ", len(smallBomb())))
		e.Write(smallBomb())
		e.take()
	}},
	{"idle connections", func(e *enemy) {
		e.ask("GET", "/v1/realtime?device_id="+e.device)
		e.take()
		e.stall()
	}},
	{"HEAD and OPTIONS", func(e *enemy) {
		for range 10 {
			e.ask("HEAD", "/v1/series?frame=day&device_id="+e.device)
			e.ask("OPTIONS", "/v1/ingest", "Origin: https://x", "Access-Control-Request-Method: GET")
		}
		e.SetReadDeadline(time.Now().Add(time.Second))
		io.Copy(io.Discard, e.answers)
	}},
	{"wrong methods", func(e *enemy) {
		for _, method := range []string{"PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"} {
			if e.ask(method, "/v1/realtime?device_id="+e.device, "Content-Length: 1"); !e.take() {
				return
			}
		}
	}},
	{"requests that are given up", func(e *enemy) {
		e.ask("GET", "/v1/energy?resolution=day&from=2020-01-01&device_id="+e.device)
		sleep(e.ctx, time.Millisecond)
	}},
	{"slow headers", func(e *enemy) {
		fmt.Fprintf(e, "GET /v1/realtime?device_id=%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nX: ", e.device, e.token)
		e.hold("x")
	}},
	{"pipelines", func(e *enemy) {
		for range 30 {
			e.ask("GET", "/v1/realtime?device_id="+e.device)
		}
		e.stall()
	}},
	{"large answers that nobody reads", func(e *enemy) {
		from := time.Now().Add(-60 * 24 * time.Hour).UTC().Format(time.RFC3339)
		e.ask("GET", "/v1/series?device_id="+e.device+"&resolution=5m&columns="+strings.Join(allPowers, ",")+"&from="+from)
		e.stall()
	}},
	{"other devices and wrong tokens", func(e *enemy) {
		for i := range 10 {
			if e.ask("GET", "/v1/realtime?device_id=roof"); !e.take() {
				return
			}
			own := e.token
			e.token = fmt.Sprint("guess-", i)
			e.ask("POST", wire.IngestPath, "Content-Length: 3")
			e.token = own
			io.WriteString(e, "abc")
			if !e.take() {
				return
			}
		}
	}},
	{"large uploads", func(e *enemy) {
		e.upload(1000, time.Minute)
		e.take()
	}},
}

// smallBomb is 200 MB of zeros, packed.
var smallBomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.CopyN(z, zeros{}, 200<<20)
	z.Close()
	return b.Bytes()
})
