package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sunspool/internal/testservices"
)

// Each proxy of docs/behind-a-proxy.md, with its block for a path twice, in front of two servers: of each all works below its
// path, nothing leads out of it, and a browser has a session of both.
func TestDocumentedProxiesServeBelowAPath(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: starts processes")
	}
	t.Parallel() // it mostly waits
	eachProxy(t, func(t *testing.T, program proxyProgram) {
		solar, barn := fmt.Sprint("127.0.0.1:", testservices.FreePort(t)), fmt.Sprint("127.0.0.1:", testservices.FreePort(t))
		block := documented(t, program.name)[1]
		s := behind(t, program, within(t, program, strings.ReplaceAll(block, "127.0.0.1:8000", solar),
			strings.NewReplacer("127.0.0.1:8000", barn, "solar", "barn").Replace(block)))
		for backend, viewer := range map[string]string{solar: "v1ewer-of-solar-0123456789", barn: "v1ewer-of-barn-0123456789"} {
			s.start("path"+viewer+".log", []string{
				"DATA_DIR=" + t.TempDir(), "LISTEN_ADDR=" + backend, "INTERNAL_ADDR=", "TRUSTED_PROXIES=" + s.trusted,
				"DEVICE_TOKENS=" + probeToken + ":probe", "VIEWER_TOKENS=" + viewer + ":*",
			}, "vps")
			testservices.Await(t, "the vps of a path answers", func() bool {
				resp, err := http.Get("http://" + backend + "/health")
				if err != nil {
					return false
				}
				resp.Body.Close()
				return resp.StatusCode == http.StatusOK
			})
		}
		s.servesBelow(t)
	})
}

// within returns what is replaced in the block of a site so that it has blocks for paths.
func within(t *testing.T, program proxyProgram, blocks ...string) [2]string {
	t.Helper()
	anchor, front, back := map[string]string{"nginx": "    location / {\n", "apache": "    ProxyTimeout", "caddy": "\t@stream path "}[program.name], "", ""
	if program.name == "haproxy" { // the rest of the frontend, behind which are its backends
		site := documented(t, program.name)[0]
		anchor = site[strings.Index(site, "    http-request deny"):strings.Index(site, "backend sunspool\n    server")]
	}
	for _, block := range blocks {
		lines, backend, has := strings.Cut(block, "\nbackend ")
		if front += lines; has {
			back += "backend " + backend + "\n"
		}
	}
	return [2]string{anchor, front + anchor + back}
}

// belowPath is a browser at a path of the proxy.
type belowPath struct {
	t    *testing.T
	base string
	http *http.Client
}

// ask sends a request, follows where it leads, which must be below the path, and returns the answer.
func (b belowPath) ask(method, target, body string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if !strings.HasPrefix(resp.Request.URL.String(), b.base+"/") {
		b.t.Errorf("%s %s leads to %s", method, target, resp.Request.URL)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(text)
}

func (b belowPath) want(status int, method, target, body string, headers ...string) string {
	b.t.Helper()
	resp, text := b.ask(method, target, body, headers...)
	if resp.StatusCode != status {
		b.t.Errorf("%s %s: %s %.300s, want %d", method, target, resp.Status, text, status)
	}
	return text
}

var relative = regexp.MustCompile(`(?:href|src|action)="([^"]+)"`)

func (s *proxied) servesBelow(t *testing.T) {
	t.Helper()
	client := s.client("127.0.0.1")
	client.Jar, _ = cookiejar.New(nil)
	solar, barn := belowPath{t, "https://" + s.listen + "/solar", client}, belowPath{t, "https://" + s.listen + "/barn", client}
	html := []string{"Accept", "text/html"}

	page := solar.want(200, "GET", "", "", html...) // by /solar
	lite := solar.want(403, "GET", "/lite", "", html...)
	for _, found := range relative.FindAllStringSubmatch(page+strings.ReplaceAll(lite, `action="lite"`, ""), -1) {
		if found[1] != "./" && found[1] != "lite" {
			solar.want(200, "GET", "/"+found[1], "")
		}
	}
	var manifest struct {
		Start string                 `json:"start_url"`
		Icons []struct{ Src string } `json:"icons"`
		ID    string
	}
	if err := json.Unmarshal([]byte(solar.want(200, "GET", "/manifest.webmanifest", "")), &manifest); err != nil || manifest.Start != "./" || manifest.ID != "" || len(manifest.Icons) == 0 {
		t.Errorf("%v %+v", err, manifest)
	}
	for _, i := range manifest.Icons {
		solar.want(200, "GET", "/"+i.Src, "")
	}
	solar.want(200, "GET", "/favicon.ico", "")
	solar.want(200, "GET", "/openapi.yaml", "")

	sample := fmt.Sprintf(`{"samples":[{"device_id":"probe","ts":%q,"pv_power_w":1234.5,"battery_power_w":null,"battery_soc_pct":null,"load_power_w":null,"export_power_w":null}]}`, time.Now().UTC().Format(time.RFC3339))
	solar.want(200, "POST", "/v1/ingest", sample, "Authorization", "Bearer "+probeToken, "Content-Type", "application/json")
	solar.want(401, "GET", "/v1/session", "")
	resp, text := solar.ask("POST", "/v1/session", `{"token":"v1ewer-of-solar-0123456789"}`, "Origin", "https://"+s.listen)
	cookies := resp.Header.Values("Set-Cookie")
	if resp.StatusCode != 200 || len(cookies) == 0 || !strings.HasPrefix(cookies[len(cookies)-1], "__Host-sunspool_session=") || !strings.Contains(cookies[len(cookies)-1], "; Path=/; ") {
		t.Fatalf("login: %s %s %q", resp.Status, text, cookies)
	}
	barn.want(401, "GET", "/v1/session", "")
	if text := barn.want(200, "POST", "/lite", url.Values{"token": {"v1ewer-of-barn-0123456789"}}.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html"); !strings.Contains(text, "<h1>sunspool") {
		t.Errorf("after the login: %.300s", text)
	}
	solar.want(200, "GET", "/v1/session", "")
	barn.want(200, "GET", "/v1/session", "")
	if text := solar.want(200, "GET", "/v1/export.csv?device_id=probe", ""); !strings.Contains(text, "1234.5") {
		t.Errorf("CSV: %.300s", text)
	}
	solar.streams(t)
	solar.want(200, "DELETE", "/v1/session", "")
	solar.want(401, "GET", "/v1/session", "")
	barn.want(200, "GET", "/v1/session", "")
}

// streams reads the beginning of a stream.
func (b belowPath) streams(t *testing.T) {
	t.Helper()
	resp, err := b.http.Get(b.base + "/v1/stream?device_id=probe")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 16)
	if _, err := io.ReadFull(resp.Body, first); err != nil || resp.StatusCode != 200 {
		t.Errorf("stream: %s %q %v", resp.Status, first, err)
	}
}
