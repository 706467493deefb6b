//go:build unix

package vps

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sunspool/internal/testservices"
	"sunspool/internal/vpstest"
	"sunspool/vps/auth"
	"sunspool/vps/request"
	"sunspool/wire"
)

func TestCaddyfileIsValid(t *testing.T) {
	caddy := testservices.CaddyProgram(t)
	for _, site := range []string{"", "SITE_ADDRESS=solar.example.org"} {
		cmd := exec.CommandContext(t.Context(), caddy, "validate", "--config", "Caddyfile", "--adapter", "caddyfile")
		cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
		if site != "" {
			cmd.Env = append(cmd.Env, site)
		}
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), `"level":"warn"`) {
			t.Errorf("with %q: %v\n%s", site, err, out)
		}
	}
}

// door is a Caddy with our Caddyfile in front of a vps, and a client that trusts Caddy's own authority.
type door struct {
	t       *testing.T
	vps     running
	address string
	config  *tls.Config
	client  *http.Client
}

func newDoor(t *testing.T, cfg Config) door {
	t.Helper()
	cfg.InternalAddr = "127.0.0.1:0"
	vps := start(t, cfg)
	d := doorTo(t, vps.public)
	d.vps = vps
	return d
}

func doorTo(t *testing.T, api string) door {
	t.Helper()
	d := door{t: t, address: fmt.Sprint("localhost:", testservices.FreePort(t))}
	caddy := testservices.Caddy(t, "Caddyfile", "SITE_ADDRESS="+d.address, "API_ADDRESS="+api, fmt.Sprint("HTTP_PORT=", testservices.FreePort(t)))
	d.config = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	d.config.RootCAs.AppendCertsFromPEM(caddy.Root())
	d.client = &http.Client{Timeout: testservices.Patience, Transport: &http.Transport{TLSClientConfig: d.config, DisableCompression: true}}
	t.Cleanup(d.client.CloseIdleConnections)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) { // until its certificate is made
		conn, err := tls.Dial("tcp", d.address, d.config)
		if err == nil {
			conn.Close()
			return d
		}
		if time.Since(began) > testservices.Patience {
			t.Fatal(err)
		}
	}
}

// ask sends one request; headers are name, value pairs.
func (d door) ask(method, path, token string, body io.Reader, headers ...string) (*http.Response, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, "https://"+d.address+path, body)
	if err != nil {
		d.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := d.client.Do(r)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer, string(text)
}

// raw sends a request line that no client library would, and returns the status line and the body.
func (d door) raw(target string) (status, body string) {
	d.t.Helper()
	conn, err := tls.Dial("tcp", d.address, d.config)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testservices.Patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer t1-0123456789abcdef\r\nConnection: close\r\n\r\n", target, d.address)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		d.t.Fatalf("GET %s: %v", target, err)
	}
	text, _ := io.ReadAll(answer.Body)
	return answer.Status, string(text)
}

func caddySamples(t *testing.T, n int, device string) []byte {
	t.Helper()
	b := wire.Batch{}
	for i := range n {
		s := sample(0)
		s.DeviceID, s.Time = device, time.Now().Add(-time.Duration(i)*time.Minute).Truncate(time.Millisecond)
		b.Samples = append(b.Samples, s)
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCaddyLetsTheAPIThrough(t *testing.T) {
	d := newDoor(t, Config{DeviceTokens: "t1-0123456789abcdef:inv-1", TrustedProxies: []string{"127.0.0.0/8"}})

	answer, text := d.ask("POST", wire.IngestPath, "t1-0123456789abcdef", bytes.NewReader(caddySamples(t, 30, "inv-1")))
	if answer.StatusCode != 200 || text != `{"inserted":30}` {
		t.Errorf("ingest: %s %s", answer.Status, text)
	}
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	gz.Write(caddySamples(t, 300, "inv-1"))
	gz.Close()
	if answer, text = d.ask("POST", wire.IngestPath, "t1-0123456789abcdef", &packed, "Content-Encoding", "gzip"); answer.StatusCode != 200 || !strings.HasPrefix(text, `{"inserted":`) {
		t.Errorf("ingest, packed: %s %s", answer.Status, text)
	}
	answer, text = d.ask("GET", wire.RealtimePath+"?device_id=inv-1", "t1-0123456789abcdef", nil)
	var now struct {
		PV float64 `json:"pv_power_w"`
	}
	if json.Unmarshal([]byte(text), &now); answer.StatusCode != 200 || now.PV != 4210.5 {
		t.Errorf("realtime: %s %s", answer.Status, text)
	}
	if h := answer.Header; h.Get("Strict-Transport-Security") == "" || h.Get("Server") != "" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", h)
	}
	if answer, text = d.ask("GET", "/", "", nil); answer.StatusCode != 200 || text != `{"status":"ok"}` {
		t.Errorf("the page: %s %s", answer.Status, text)
	}
	if answer, text = d.ask("GET", wire.RealtimePath+"?device_id=inv-1", "", nil); answer.StatusCode != 401 || answer.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("without a token: %s %s", answer.Status, text)
	}
	if _, err := (&http.Client{Timeout: 5 * time.Second}).Get("https://" + d.address + "/"); err == nil {
		t.Error("a client that does not trust Caddy's authority is served: the test's TLS tests nothing")
	}
}

// Events come as they happen and as they are; a long answer is packed on its way.
func TestCaddyPacksAnswersButNotTheStream(t *testing.T) {
	const event = "data: {\"pv_power_w\":4210.5}\n\n"
	next := make(chan bool)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/1.1" {
			t.Errorf("Caddy speaks %s", r.Proto)
		}
		if r.URL.Path != "/v1/stream" {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, "[%s0]", strings.Repeat("1234.5,", 1000))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range next {
			io.WriteString(w, strings.Repeat(event, 50)) // long enough to be packed
			http.NewResponseController(w).Flush()
		}
	}))
	defer api.Close()
	defer close(next)
	d := doorTo(t, api.Listener.Addr().String())

	for _, coding := range []string{"gzip", "zstd"} {
		answer, text := d.ask("GET", wire.SeriesPath, "", nil, "Accept-Encoding", coding)
		if answer.Header.Get("Content-Encoding") != coding || len(text) > 2000 {
			t.Errorf("asked for %s: %q, %d bytes", coding, answer.Header.Get("Content-Encoding"), len(text))
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+d.address+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip, zstd")
	go func() { next <- true }()
	answer, err := d.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if coding := answer.Header.Get("Content-Encoding"); coding != "" {
		t.Fatalf("the stream is packed by %s", coding)
	}
	for i := range 3 { // the next event is only made when the last one is here
		if i > 0 {
			next <- true
		}
		got := make([]byte, 50*len(event))
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != strings.Repeat(event, 50) {
			t.Fatalf("event %d: %v %q", i, err, got)
		}
	}
}

func TestCaddyHidesWhatIsForTheOperator(t *testing.T) {
	d := newDoor(t, Config{DeviceTokens: "t1-0123456789abcdef:inv-1"})
	for _, hidden := range []string{"health", "ready", "metrics"} {
		for _, trick := range []string{
			"/%s", "//%s", "/./%s", "/v1/../%s", "/v1/./../%s", "/v1//../%s", "/v1/realtime/../../%s", "/%s/", "/%s?device_id=inv-1", "/%s#x",
			"/v1/%%2e%%2e/%s", "/v1/..%%2f%s", "/v1%%2f..%%2f%s", "/v1/%%2e%%2e%%2f%s", "/v1/..%%252f%s", "/%%2f%s", "/v1/..;/%s", "/v1/..\\%s",
			"/v1/%s", "/openapi.yaml/../%s", "https://localhost/%s", "https://other.example/%s", "/V1/../%s",
		} {
			for _, name := range []string{hidden, strings.ToUpper(hidden), "%" + fmt.Sprintf("%02x", hidden[0]) + hidden[1:]} {
				target := fmt.Sprintf(trick, name)
				status, body := d.raw(target)
				refused := strings.HasPrefix(status, "404") || strings.HasPrefix(status, "400") || strings.HasPrefix(status, "421")
				if !refused || strings.Contains(body, `"ok"`) || strings.Contains(body, "sunspool_") {
					t.Errorf("GET %s: %s %.100s", target, status, body)
				}
			}
		}
		if status, body := d.raw("/" + hidden); status != "404 Not Found" || body != `{"detail":"Not Found","next":"GET /openapi.yaml lists every path"}` {
			t.Errorf("GET /%s: %s %s", hidden, status, body)
		}
	}
	if status, body := d.raw("/"); status != "200 OK" {
		t.Errorf("the door is shut altogether: %s %s", status, body)
	}
	if n := strings.Count(d.vps.log.String(), `"route":"/health"`) + strings.Count(d.vps.log.String(), `"route":"/ready"`); n != 0 {
		t.Errorf("%d requests reached what is hidden", n)
	}
}

func TestCaddyRefusesWhatIsTooLarge(t *testing.T) {
	d := newDoor(t, Config{DeviceTokens: "t1-0123456789abcdef:inv-1"})
	large := bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16)
	for name, body := range map[string]io.Reader{
		"with its length": bytes.NewReader(large),
		"in chunks":       io.MultiReader(bytes.NewReader(large)),
	} {
		if answer, text := d.ask("POST", wire.IngestPath, "t1-0123456789abcdef", body); answer.StatusCode != 413 || !json.Valid([]byte(text)) || text == "" {
			t.Errorf("2 MiB %s: %s %s", name, answer.Status, text)
		}
	}
	var bomb bytes.Buffer
	gz := gzip.NewWriter(&bomb)
	gz.Write(large)
	gz.Close()
	if answer, text := d.ask("POST", wire.IngestPath, "t1-0123456789abcdef", &bomb, "Content-Encoding", "gzip"); answer.StatusCode != 413 {
		t.Errorf("2 MiB in %d bytes: %s %s", bomb.Cap(), answer.Status, text)
	}
	if answer, text := d.ask("POST", wire.IngestPath, "t1-0123456789abcdef", bytes.NewReader(caddySamples(t, 1000, "inv-1"))); answer.StatusCode != 200 {
		t.Errorf("1000 samples: %s %s", answer.Status, text)
	}

	// Caddy itself, in front of something that would take it all.
	greedy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer greedy.Close()
	d = doorTo(t, greedy.Listener.Addr().String())
	if answer, text := d.ask("POST", wire.IngestPath, "t1-0123456789abcdef", bytes.NewReader(large)); answer.StatusCode != 413 {
		t.Errorf("Caddy carries 2 MiB: %s %.100s", answer.Status, text)
	}
}

// While the vps is away the answer is one that an edge takes for what it is: come again later.
func TestCaddySaysThatTheVPSIsAway(t *testing.T) {
	d := newDoor(t, Config{DeviceTokens: "t1-0123456789abcdef:inv-1"})
	if err := d.vps.stop(); err != nil {
		t.Fatal(err)
	}
	answer, text := d.ask("POST", wire.IngestPath, "t1-0123456789abcdef", bytes.NewReader(caddySamples(t, 1, "inv-1")))
	if answer.StatusCode != 502 || text != `{"detail":"Bad Gateway"}` || answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s", answer.Status, text)
	}
}

// Every client has Caddy's address on its connection. The guesser is known by his own all the same, whatever he claims.
func TestCaddyTellsTheVPSWhoAsks(t *testing.T) {
	d := newDoor(t, Config{DeviceTokens: "t1-0123456789abcdef:inv-1", TrustedProxies: []string{"127.0.0.0/8", "::1"}})
	for i := range auth.MaxFailures + 1 {
		answer, _ := d.ask("GET", wire.RealtimePath+"?device_id=inv-1", "guess", nil, "X-Forwarded-For", fmt.Sprint("203.0.113.", i),
			"X-Real-IP", "203.0.113.99", "Forwarded", "for=203.0.113.98")
		want := 401
		if i == auth.MaxFailures {
			want = 429
		}
		if answer.StatusCode != want {
			t.Errorf("guess %d: %s, want %d", i, answer.Status, want)
		}
	}
	if log := d.vps.log.String(); strings.Contains(log, "203.0.113.") {
		t.Errorf("the vps believes the client:\n%.600s", log)
	}
}

// A reader that stops for longer than a request has with the store, behind a real proxy.
func TestSlowExportThroughCaddyArrivesWhole(t *testing.T) {
	const token, samples = "t1-0123456789abcdef", 60_000
	d := newDoor(t, Config{DeviceTokens: token + ":inv-1"})
	now, all := time.Now().Truncate(time.Second), make([]wire.Sample, 1000)
	for i := range samples / len(all) {
		for k := range all {
			all[k] = sample(0)
			all[k].Time = now.Add(time.Duration(i*len(all)+k-samples) * 10 * time.Second)
		}
		if answer, text := d.ask("POST", wire.IngestPath, token, strings.NewReader(vpstest.BatchOf(all...))); answer.StatusCode != 200 {
			t.Fatal(text)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+d.address+wire.ExportPath+"?device_id=inv-1&resolution=raw&from="+
		now.AddDate(0, 0, -30).UTC().Format(time.RFC3339), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := d.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	io.ReadFull(answer.Body, make([]byte, 1<<20))
	time.Sleep(request.StoreTimeout + time.Second) // it is this wait that is tested
	rest, err := io.ReadAll(answer.Body)
	if lines := bytes.Count(rest, []byte("\n")); err != nil || lines < samples*3/4 {
		t.Errorf("%d lines of %d after the pause: %v", lines, samples, err)
	}
}
