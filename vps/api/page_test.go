package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"sunspool/wire"
)

// A person who opens the server's address reads what it is; a program gets what it always got.
func TestABrowserGetsAPage(t *testing.T) {
	b := newBench(t)
	for accept, page := range map[string]bool{
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true, "text/html": true, "TEXT/HTML;q=0.5": true, "application/json;q=0.4, text/html": true,
		"": false, "*/*": false, "application/json": false, "text/*": false, "text/html;q=0": false, "application/json, text/html;q=0.9": false,
		"text/html;q=x": false, "image/png": false, "text/htmlx": false,
	} {
		for name, h := range map[string]func() *httptest.ResponseRecorder{
			"the API": func() *httptest.ResponseRecorder { return do(b.api, "GET", "/", "", nil, "Accept", accept) },
			"a demo's": func() *httptest.ResponseRecorder {
				return do(b.Readers("inv-1"), "GET", "/", "", nil, "Accept", accept)
			},
			"with a head": func() *httptest.ResponseRecorder { return do(b.api, "HEAD", "/", "", nil, "Accept", accept) },
		} {
			w := h()
			kind := w.Header().Get("Content-Type")
			if isPage := strings.HasPrefix(kind, "text/html"); w.Code != 200 || isPage != page || !isPage && w.Body.String() != `{"status":"ok"}` {
				t.Errorf("%s, Accept %q: %d %s %.40s", name, accept, w.Code, kind, w.Body)
			}
			if !strings.Contains(strings.Join(w.Header().Values("Vary"), ","), "Accept") {
				t.Errorf("Accept %q: a cache may give one for the other", accept)
			}
		}
	}
	if w := do(b.api, "GET", "/", "", nil, "Accept", "application/json", "Accept", "text/html;q=0.5"); w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("two headers: %v", w.Header())
	}
}

// The page runs no script, fetches nothing, cannot be framed, and its own style is the only one that it may have.
func TestThePageIsConfined(t *testing.T) {
	w := do(newBench(t).api, "GET", "/", "", nil, "Accept", "text/html")
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(w.Body.String())
	if style == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if got := w.Header()["Content-Security-Policy"]; len(got) != 1 || got[0] != want {
		t.Errorf("the policy is %q, want %q", got, want)
	}
	for _, name := range []string{"X-Content-Type-Options", "Referrer-Policy", "Cache-Control"} {
		if w.Header().Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	tags := regexp.MustCompile(`<([a-z0-9!]+)([^>]*)>`).FindAllStringSubmatch(w.Body.String(), -1)
	if len(tags) < 10 {
		t.Fatalf("only %d tags are found", len(tags))
	}
	for _, tag := range tags {
		if tag[1] == "script" || regexp.MustCompile(`\b(style|src|on[a-z]+)=|href="[^/]`).MatchString(tag[2]) {
			t.Errorf("the page has %s", tag[0])
		}
	}
}

// Every path that the page names is one of the API, and every question of a reader is on the page.
func TestThePageNamesThePathsOfTheAPI(t *testing.T) {
	for _, route := range routesOf(t, "../..") {
		if path, _, _ := strings.Cut(route.Path, "{"); route.Guard == "WithToken" && !strings.Contains(string(page), "<code>"+path) {
			t.Errorf("the page does not name %s", route.Path)
		}
	}
	for _, path := range regexp.MustCompile(`/v1/[a-zYM./-]+`).FindAllString(string(page), -1) {
		if w := newBench(t).get(strings.Replace(path, "YYYY-MM", "2026-06", 1), ""); w.Code != 401 {
			t.Errorf("%s is not there", path)
		}
	}
	if !strings.Contains(string(page), `href="`+wire.OpenAPIPath+`"`) {
		t.Error("the page does not lead to the API's description")
	}
}

// Each refusal that a person meets at first says what to do about it.
func TestFirstRefusalsSayWhatToDo(t *testing.T) {
	b := newVillage(t)
	said := map[string]string{}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"401 without a token":        b.get("/v1/realtime?device_id=roof", ""),
		"401 with a wrong one":       b.get("/v1/realtime?device_id=roof", tokenWrong),
		"403 of a reader":            b.get("/v1/realtime?device_id=barn", viewer1),
		"403 of a viewer that sends": b.post(viewer1, roofs("")),
		"403 of a sample":            b.post(token2, roofs("")),
		"404":                        b.get("/v1/nothing", viewer1),
		"404 of a device":            b.get("/v1/realtime?device_id=shed", viewerAll),
		"405":                        do(b.api, "PUT", "/v1/realtime", viewer1, nil),
		"422 without device_id":      b.get("/v1/realtime", viewer1),
	} {
		next := decodeJSON[wire.Problem](t, w).Next
		if !strings.HasPrefix(name, strings.TrimSpace(w.Result().Status[:3])) || next == "" {
			t.Errorf("%s: %s %s", name, w.Result().Status, w.Body)
		}
		if said[next] != "" {
			t.Errorf("%s is told the same as %s: %s", name, said[next], next)
		}
		said[next] = name
	}
	for _, path := range []string{"/v1/realtime", "/v1/stream", "/v1/series", "/v1/energy", "/v1/continuity", "/v1/export.csv", "/v1/capacity/month/2026-06"} {
		w := b.get(path+"?x=y", viewer1)
		if problem := decodeJSON[wire.Problem](t, w); w.Code != 422 || !strings.Contains(problem.Next, "device_id") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if next := decodeJSON[wire.Problem](t, b.get("/v1/series", viewer1)).Next; strings.Contains(next, "frame and") {
		t.Error(next)
	}
}

// Proxies leave the version alone in this header, whoever asks with a token.
func TestAnswersToReadersNameTheVersion(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Version = "1.2.3" })
	for _, token := range []string{token1, viewer1, viewerAll} {
		for _, path := range []string{"/v1/realtime?device_id=inv-1", "/v1/devices", "/v1/realtime", "/v1/realtime?device_id=inv-2", "/v1/series?device_id=inv-1&frame=day"} {
			if w := b.get(path, token); w.Header().Get(wire.VersionHeader) != "1.2.3" {
				t.Errorf("%s: %d %v", path, w.Code, w.Header())
			}
		}
	}
	if w := b.post(viewer1, `{"samples":[]}`); w.Code != 403 || w.Header().Get(wire.VersionHeader) != "1.2.3" {
		t.Errorf("a viewer that sends: %d %v", w.Code, w.Header())
	}
	for _, path := range []string{"/", "/health", "/openapi.yaml", "/v1/devices", "/nothing"} {
		if w := b.get(path, ""); w.Header().Get(wire.VersionHeader) != "" || w.Header().Get("Server") != "" {
			t.Errorf("%s names the version to anybody: %v", path, w.Header())
		}
	}
}
