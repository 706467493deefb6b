package demo

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"sunspool/internal/testservices"
	"sunspool/vps"
	"sunspool/wire"
)

// Each proxy of docs/behind-a-proxy.md, with the block as it stands there, between the real edge and the real vps: a
// backlog arrives once, a stream stays open and gets each sample at once, the vps knows its clients, and what is for the
// operator is not reached.
func TestDocumentedProxiesDeliver(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: takes a minute")
	}
	t.Parallel() // it mostly waits
	waiting := newBacklog(t, 3000)
	eachProxy(t, func(t *testing.T, program proxyProgram) {
		documentedProxyDelivers(t, behind(t, program, [2]string{}), waiting)
	})
}

func documentedProxyDelivers(t *testing.T, s *proxied, waiting spooledBacklog) {
	e, sim := s.deliver(t, waiting)
	testservices.Await(t, "the backlog is delivered", func() bool { h, ok := s.status(); return ok && h.SpoolCount == 0 && h.Polls > 0 })
	if proto := s.protocol(t); proto != "HTTP/2.0" {
		t.Errorf("it offers %s to an edge", proto)
	}
	s.carriesStreams(t)
	s.carriesWhatTheVPSTakes(t)
	s.hidesWhatIsForTheOperator(t)
	s.namesItsClients(t)
	s.exactlyOnce(t, e, sim, waiting)
}

// protocol is what the proxy and a client such as the edge agree on.
func (s *proxied) protocol(t *testing.T) string {
	t.Helper()
	resp, err := s.client("127.0.0.1").Get("https://" + s.listen + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/openapi.yaml: %s", resp.Status)
	}
	return resp.Proto
}

// eventStream is an open /v1/stream.
type eventStream struct {
	mu   sync.Mutex
	seen []int64     // times of samples, ms
	at   []time.Time // when each came
	err  error       // why it ended
}

func (s *proxied) stream(t *testing.T, device, token string) *eventStream {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.listen+"/v1/stream?device_id="+device, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.client("127.0.0.1").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the stream of %s: %s", device, resp.Status)
	}
	e := new(eventStream)
	done := make(chan bool)
	go func() {
		defer close(done)
		e.read(resp.Body)
	}()
	t.Cleanup(func() { resp.Body.Close(); <-done })
	return e
}

func (e *eventStream) read(body io.Reader) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		id, ok := strings.CutPrefix(lines.Text(), "id: ") // of a sample: its time in ms
		if !ok {
			continue
		}
		ms, err := strconv.ParseInt(id, 10, 64)
		e.mu.Lock()
		e.seen, e.at, e.err = append(e.seen, ms), append(e.at, time.Now()), err
		e.mu.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = cmp.Or(lines.Err(), io.EOF)
}

func (e *eventStream) has(at time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.seen, at.UnixMilli())
}

func (e *eventStream) ended() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// streamOpen is how long the streams of a test stay open: two comments of the server and some more.
const streamOpen = 35 * time.Second

// carriesStreams holds two streams open: that of the edge's device, which has a sample every 5 s, and one on which the
// next sample is only sent when the one before was read, and then none for 35 s.
func (s *proxied) carriesStreams(t *testing.T) {
	t.Helper()
	roof, probe := s.stream(t, "roof", "t0ken-0123456789abcdef"), s.stream(t, "probe", probeToken)
	opened, before := time.Now(), len(s.spooled("roof"))
	post := func(i int) {
		at := opened.Add(time.Duration(i) * time.Millisecond).UTC().Truncate(time.Millisecond)
		if status, answer := s.post(t, at, nil); status != http.StatusOK {
			t.Fatalf("a sample is answered %d %s", status, answer)
		}
		testservices.Await(t, fmt.Sprintf("sample %d is in the stream", i), func() bool { return probe.has(at) || probe.ended() != nil })
	}
	for i := range 3 {
		post(i)
	}
	time.Sleep(streamOpen - time.Since(opened)) // nothing but comments on one, the edge's samples on the other
	post(3)
	for _, sample := range s.spooled("roof")[before:] {
		testservices.Await(t, fmt.Sprintf("the sample of %v is in the stream", sample.Time), func() bool { return roof.has(sample.Time) || roof.ended() != nil })
	}
	if err := roof.ended(); err != nil {
		t.Errorf("the stream with samples ended: %v", err)
	}
	if err := probe.ended(); err != nil {
		t.Errorf("the silent stream ended: %v", err)
	}
	roof.mu.Lock()
	defer roof.mu.Unlock()
	longest := time.Duration(0)
	for i := 1; i < len(roof.at); i++ {
		longest = max(longest, roof.at[i].Sub(roof.at[i-1]))
		if roof.seen[i] <= roof.seen[i-1] {
			t.Errorf("the sample of %d ms comes after that of %d ms", roof.seen[i], roof.seen[i-1])
		}
	}
	if len(roof.seen) < 2 {
		t.Errorf("%d samples in %v of the stream: it shows nothing", len(roof.seen), streamOpen)
	}
	t.Logf("%s: %d samples in a stream of %v, largest gap %v; the other was silent for %v", s.program.name, len(roof.seen),
		time.Since(opened).Round(time.Second/10), longest.Round(time.Second/10), streamOpen)
}

// post sends a sample of the probe and returns the status and the answer; padding makes the body longer.
func (s *proxied) post(t *testing.T, at time.Time, padding []byte) (int, string) {
	t.Helper()
	body, err := json.Marshal(wire.Batch{Samples: []wire.Sample{{DeviceID: "probe", Time: at, PVPowerW: 1234.5, Count: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.listen+wire.IngestPath, bytes.NewReader(append(body, padding...)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+probeToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client("127.0.0.1").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// carriesWhatTheVPSTakes: the limit for a body is the vps', not the proxy's.
func (s *proxied) carriesWhatTheVPSTakes(t *testing.T) {
	t.Helper()
	padding := bytes.Repeat([]byte(" "), wire.MaxBytes-1000)
	if status, answer := s.post(t, time.Now().UTC().Truncate(time.Millisecond), padding); status != http.StatusOK {
		t.Errorf("a body of %d bytes is answered %d %.200s", wire.MaxBytes, status, answer)
	}
}

func (s *proxied) hidesWhatIsForTheOperator(t *testing.T) {
	t.Helper()
	client := s.client("127.0.0.1")
	for path, want := range map[string]int{"/": 200, "/lite": 401, "/a/0/none.js": 404, "/manifest.webmanifest": 200, "/robots.txt": 200, "/health": 404, "/ready": 404, "/metrics": 404, "/v1/%2e%2e/health": 404, "//health": 404} {
		resp, err := client.Get("https://" + s.listen + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want == 200 && resp.StatusCode != 200 || want != 200 && resp.StatusCode < 400 {
			t.Errorf("GET %s is answered %s, want %d", path, resp.Status, want)
		}
	}
}

// namesItsClients: wrong tokens are counted by client, whatever address a client claims to have.
func (s *proxied) namesItsClients(t *testing.T) {
	t.Helper()
	guesser, i := s.client("127.0.0.2"), 0
	for i = range 40 {
		if s.guess(t, guesser, fmt.Sprint("203.0.113.", i)) == http.StatusTooManyRequests {
			break
		}
	}
	if i == 39 {
		t.Error("a client that claims another address each time guesses without limit")
	}
	if got := s.guess(t, s.client("127.0.0.3"), "203.0.113.1"); got != http.StatusUnauthorized {
		t.Errorf("a wrong token of another client is answered %d: they share one count", got)
	}
	if !s.logged(t, `"remote":"127.0.0.2"`) || s.logged(t, "203.0.113.") {
		t.Error("the log of the vps does not have the address of the client, or has the one that it claimed")
	}
}

// guess tries a wrong token from an address that the client claims to have, and returns the status.
func (s *proxied) guess(t *testing.T, c *http.Client, claimed string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.listen+"/v1/realtime?device_id=roof", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer a-wrong-token-0123456789")
	req.Header.Set("X-Forwarded-For", claimed)
	req.Header.Set("X-Real-IP", "203.0.113.99")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func (s *proxied) logged(t *testing.T, text string) bool {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(s.dir, "vps.log"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(log, []byte(text))
}

// Behind a CDN the vps knows the client that the CDN names, and nobody else can name one.
func TestDocumentedProxiesBehindACDN(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: starts processes")
	}
	t.Parallel() // it mostly waits
	eachProxy(t, func(t *testing.T, program proxyProgram) {
		s := behind(t, program, program.cdn, cdn)
		s.guess(t, s.client(cdn), "198.51.100.9, 203.0.113.7") // the CDN appends its client to what that claimed
		s.guess(t, s.client("127.0.0.3"), "203.0.113.8")
		for remote, want := range map[string]bool{"203.0.113.7": true, "127.0.0.3": true, cdn: false, "198.51.100.9": false, "203.0.113.8": false} {
			if s.logged(t, `"remote":"`+remote+`"`) != want {
				t.Errorf("the vps logs %s as a client: %v, want %v", remote, !want, want)
			}
		}
	})
}

// The blocks of programs that are not run here can be read.
func TestDocumentedSettingsCanBeRead(t *testing.T) {
	for _, block := range documented(t, "yaml") {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(block), &any); err != nil || len(any) == 0 {
			t.Errorf("%v in\n%s", err, block)
		}
	}
	for _, language := range []string{"vps", "cloudflare"} {
		cfg := vps.Config{DataDir: t.TempDir(), ListenAddr: setting(t, "vps", "LISTEN_ADDR"), DeviceTokens: "t0ken-0123456789abcdef:roof",
			TrustedProxies: strings.Split(setting(t, language, "TRUSTED_PROXIES"), ",")}
		if err := cfg.Validate(); err != nil {
			t.Error(err)
		}
	}
}
