package api

import (
	"net/http/httptest"
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
