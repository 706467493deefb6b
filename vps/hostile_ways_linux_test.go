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
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sunspool/internal/vpstest"
	"sunspool/vps/history"
	"sunspool/wire"
)

// front is where callers connect, with TLS where config is not nil.
type front struct {
	address string
	config  *tls.Config
}

// beAttacked lets the hostile tokens loose, in a process of their own that gets what time the others leave, as if it were on
// another machine, until end is called, which returns how often each did something.
func (f front) beAttacked(t *testing.T) (end func() []int64) {
	t.Helper()
	args := []string{"-n", "19", os.Args[0], "-test.run=^TestBeHostile$", "-hostile-to=" + f.address}
	if f.config != nil {
		args = append(args, "-hostile-name="+f.config.ServerName)
	}
	cmd := exec.CommandContext(t.Context(), "nice", args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &failed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (done []int64) {
		stdin.Close()
		cmd.Wait()
		if err := json.NewDecoder(&said).Decode(&done); err != nil {
			t.Errorf("the attackers: %v\n%s%s", err, &said, &failed)
		}
		return done
	}
}

var hostileTo, hostileName = flag.String("hostile-to", "", "be 19 hostile tokens to that address"), flag.String("hostile-name", "", "with TLS to a server of that name")

// TestBeHostile is the process of beAttacked. It ends with its standard input.
func TestBeHostile(t *testing.T) {
	if *hostileTo == "" {
		t.Skip("it is part of TestNineteenHostileTokensStopNobody")
	}
	f := front{address: *hostileTo}
	if *hostileName != "" {
		f.config = &tls.Config{ServerName: *hostileName, InsecureSkipVerify: true}
	}
	ctx, end := context.WithCancel(t.Context())
	var hostile sync.WaitGroup
	var done [len(hostileWays)]atomic.Int64
	for i, way := range hostileWays {
		for n := range connectionsEach {
			hostile.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), uint64(n)))
				for ctx.Err() == nil {
					f.attack(ctx, way.run, i, r)
					done[i].Add(1)
					sleep(ctx, time.Duration(300+r.IntN(1200))*time.Millisecond)
				}
			})
		}
	}
	io.Copy(io.Discard, os.Stdin)
	end()
	hostile.Wait()
	counts := make([]int64, len(done))
	for i := range done {
		counts[i] = done[i].Load()
	}
	json.NewEncoder(os.Stdout).Encode(counts)
}

// attack is one hostile connection. It ends with ctx.
func (f front) attack(ctx context.Context, way func(*enemy), i int, r *rand.Rand) {
	raw, err := net.DialTimeout("tcp", f.address, 5*time.Second)
	if err != nil {
		return
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	raw.SetDeadline(time.Now().Add(30 * time.Second))
	raw.(*net.TCPConn).SetReadBuffer(8 << 10)
	e := &enemy{Conn: raw, ctx: ctx, rand: r, token: hostileToken(i), device: fmt.Sprint("evil-", i)}
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

// upload sends a batch.
func (e *enemy) upload(n int, apart time.Duration, headers ...string) {
	b := wire.Batch{}
	start := time.Now().Add(-time.Duration(20+e.rand.IntN(1000)) * time.Hour)
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
		e.ask("GET", "/v1/series?device_id="+e.device+"&resolution=5m&columns="+strings.Join(history.AllMeans, ",")+"&from="+from)
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
	io.CopyN(z, vpstest.Zeros{}, 200<<20)
	z.Close()
	return b.Bytes()
})
