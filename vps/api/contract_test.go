package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// TestStatusesAndDetailsAreTheContracts goes through every answer that a client of the contract may see.
func TestStatusesAndDetailsAreTheContracts(t *testing.T) {
	good := bodyOf(fields(0))
	type answer struct {
		status int
		detail any // a string, or "type loc msg" of a 422's only error
	}
	tests := []struct {
		name    string
		request func(b *bench) *httptest.ResponseRecorder
		want    answer
		header  string // "Name: value"
	}{
		{"no token", func(b *bench) *httptest.ResponseRecorder { return b.post("", good) },
			answer{401, "Missing authorization credentials."}, "WWW-Authenticate: Bearer"},
		{"other scheme", func(b *bench) *httptest.ResponseRecorder { return b.post("", good, "Authorization", "Basic "+token1) },
			answer{401, "Missing authorization credentials."}, "WWW-Authenticate: Bearer"},
		{"wrong token", func(b *bench) *httptest.ResponseRecorder { return b.post(tokenWrong, good) },
			answer{401, "Invalid or expired token."}, "WWW-Authenticate: Bearer"},
		{"foreign sample", func(b *bench) *httptest.ResponseRecorder { return b.post(token2, good) },
			answer{403, "Sample device ID does not match authenticated device."}, ""},
		{"viewer ingests", func(b *bench) *httptest.ResponseRecorder { return b.post(viewer1, good) },
			answer{403, "This token may only read."}, ""},
		{"too many samples", func(b *bench) *httptest.ResponseRecorder {
			return b.post(token1, `{"samples":[`+strings.Repeat(`{},`, wire.MaxSamples)+`{}]}`)
		}, answer{413, "Too many samples in one batch."}, ""},
		{"too many bytes", func(b *bench) *httptest.ResponseRecorder { return b.post(token1, strings.Repeat(" ", wire.MaxBytes+1)) },
			answer{413, "Request body too large."}, "Connection: close"},
		{"malformed Content-Length", func(b *bench) *httptest.ResponseRecorder { return b.post(token1, good, "Content-Length", "12,13") },
			answer{400, "Invalid Content-Length header."}, ""},
		{"unknown encoding", func(b *bench) *httptest.ResponseRecorder { return b.post(token1, good, "Content-Encoding", "br") },
			answer{415, "Unsupported Content-Encoding."}, ""},
		{"not gzip", func(b *bench) *httptest.ResponseRecorder { return b.post(token1, good, "Content-Encoding", "gzip") },
			answer{400, "Request body could not be read."}, ""},
		{"field missing", func(b *bench) *httptest.ResponseRecorder {
			return b.post(token1, bodyOf(without(fields(0), "load_power_w")))
		},
			answer{422, `missing ["samples",0,"load_power_w"] Field required`}, ""},
		{"field of wrong type", func(b *bench) *httptest.ResponseRecorder {
			return b.post(token1, bodyOf(with(fields(0), "pv_power_w", "4210")))
		},
			answer{422, `float_type ["samples",0,"pv_power_w"] Input should be a valid number`}, ""},
		{"null where a number must be", func(b *bench) *httptest.ResponseRecorder {
			return b.post(token1, bodyOf(with(fields(0), "pv_power_w", nil)))
		},
			answer{422, `float_type ["samples",0,"pv_power_w"] Input should be a valid number`}, ""},
		{"too large for a number", func(b *bench) *httptest.ResponseRecorder {
			return b.post(token1, strings.Replace(good, "4210.5", "1e400", 1))
		}, answer{422, `not_finite ["samples",0,"pv_power_w"] Input should be a finite number`}, ""},
		{"time without zone", func(b *bench) *httptest.ResponseRecorder {
			return b.post(token1, bodyOf(with(fields(0), "ts", "2026-06-21T10:00:00")))
		},
			answer{422, `datetime_parsing ["samples",0,"ts"] Input should be an RFC 3339 time with a zone`}, ""},
		{"count of nothing", func(b *bench) *httptest.ResponseRecorder {
			return b.post(token1, bodyOf(with(fields(0), "sample_count", 0)))
		},
			answer{422, `sample_count_invalid ["samples",0,"sample_count"] must be a positive 32-bit integer`}, ""},
		{"bad device", func(b *bench) *httptest.ResponseRecorder {
			return b.post(token1, bodyOf(with(fields(0), "device_id", "a b")))
		},
			answer{422, `device_id_invalid ["samples",0,"device_id"] must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ -`}, ""},
		{"no samples", func(b *bench) *httptest.ResponseRecorder { return b.post(token1, `{}`) },
			answer{422, `missing ["samples"] Field required`}, ""},
		{"not JSON", func(b *bench) *httptest.ResponseRecorder { return b.post(token1, `{"samples":[nope]}`) },
			answer{422, `json_invalid ["body",12] JSON decode error`}, ""},

		{"realtime without data", func(b *bench) *httptest.ResponseRecorder { return b.get("/v1/realtime?device_id=inv-1", token1) },
			answer{404, "No data found for device_id 'inv-1'."}, ""},
		{"realtime of another device", func(b *bench) *httptest.ResponseRecorder { return b.get("/v1/realtime?device_id=inv-2", token1) },
			answer{403, "Device ID does not match authenticated device."}, ""},
		{"realtime of nothing", func(b *bench) *httptest.ResponseRecorder { return b.get("/v1/realtime", token1) },
			answer{422, `missing ["query","device_id"] Field required`}, ""},
		{"realtime without token", func(b *bench) *httptest.ResponseRecorder { return b.get("/v1/realtime?device_id=inv-1", "") },
			answer{401, "Missing authorization credentials."}, "WWW-Authenticate: Bearer"},
		{"series of another device", func(b *bench) *httptest.ResponseRecorder {
			return b.get("/v1/series?device_id=inv-2&frame=day", token1)
		},
			answer{403, "Device ID does not match authenticated device."}, ""},
		{"bad frame", func(b *bench) *httptest.ResponseRecorder {
			return b.get("/v1/series?device_id=inv-1&frame=week", token1)
		},
			answer{422, "Invalid frame 'week'. Must be one of: ['all', 'day', 'month', 'year']."}, ""},
		{"no frame", func(b *bench) *httptest.ResponseRecorder { return b.get("/v1/series?device_id=inv-1", token1) },
			answer{422, `missing ["query","frame"] Field required`}, ""},
		{"unknown zone", func(b *bench) *httptest.ResponseRecorder {
			return b.get("/v1/series?device_id=inv-1&frame=day&tz=Mars/Base", token1)
		}, answer{422, `timezone ["query","tz"] Input should be an IANA time zone`}, ""},
		{"no such page", func(b *bench) *httptest.ResponseRecorder { return b.get("/v2/x", token1) },
			answer{404, "Not Found"}, ""},
		{"unclean path", func(b *bench) *httptest.ResponseRecorder { return b.get("/v1//realtime?device_id=inv-1", token1) },
			answer{404, "Not Found"}, ""},
		{"metrics in public", func(b *bench) *httptest.ResponseRecorder { return b.get("/metrics", token1) },
			answer{404, "Not Found"}, ""},
		{"method", func(b *bench) *httptest.ResponseRecorder { return b.get("/v1/ingest", token1) },
			answer{405, "Method Not Allowed"}, "Allow: POST"},
		{"method of a reader", func(b *bench) *httptest.ResponseRecorder { return do(b.api, "DELETE", "/v1/realtime", token1, nil) },
			answer{405, "Method Not Allowed"}, "Allow: GET, HEAD"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			w := test.request(b)
			if w.Code != test.want.status {
				t.Fatalf("status %d, want %d: %s", w.Code, test.want.status, w.Body)
			}
			if got := detail(t, w); got != test.want.detail {
				t.Errorf("detail %q\n want  %q", got, test.want.detail)
			}
			if name, value, ok := strings.Cut(test.header, ": "); ok && w.Header().Get(name) != value {
				t.Errorf("%s is %q, want %q", name, w.Header().Get(name), value)
			}
			if n := b.stored("inv-1") + b.stored("inv-2"); n != 0 {
				t.Errorf("%d samples stored by a refused request", n)
			}
		})
	}
}

// detail is a problem's detail, or type, loc and msg of its only field error.
func detail(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	problem := decodeJSON[struct{ Detail json.RawMessage }](t, w)
	var text string
	if json.Unmarshal(problem.Detail, &text) == nil {
		return text
	}
	var list []struct {
		Type, Msg string
		Loc       json.RawMessage
	}
	if err := json.Unmarshal(problem.Detail, &list); err != nil || len(list) != 1 {
		t.Fatalf("detail is %s", problem.Detail)
	}
	return fmt.Sprintf("%s %s %s", list[0].Type, list[0].Loc, list[0].Msg)
}

func TestStoreTroubleIsA503ThatAsksToComeAgain(t *testing.T) {
	for name, err := range map[string]error{"unavailable": fmt.Errorf("%w: no space", store.ErrUnavailable), "any other": errDisk} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(s *Server) { s.Store = brokenStore{err: err} })
			for _, w := range []*httptest.ResponseRecorder{
				b.post(token1, bodyOf(fields(0))),
				b.post(token1, bodyOf(fields(0)), "Prefer", wire.Lenient),
				b.get("/v1/realtime?device_id=inv-1", token1),
				b.get("/v1/series?device_id=inv-1&frame=day", token1),
				b.get("/ready", ""),
			} {
				if w.Code != 503 || w.Header().Get("Retry-After") != "5" || detail(t, w) != "Storage is unavailable." {
					t.Errorf("%d %q %s", w.Code, w.Header().Get("Retry-After"), w.Body)
				}
			}
			if w := b.get("/health", ""); w.Code != 200 || w.Body.String() != `{"status":"ok"}` {
				t.Errorf("health: %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestReadyFollowsTheLastWrite(t *testing.T) {
	now := testNow
	broken := brokenStore{}
	var bolt store.Samples
	b := newBench(t, func(s *Server) {
		s.Now = func() time.Time { return now }
		bolt = s.Store
	})
	ready := func(want int) {
		t.Helper()
		if w := b.get("/ready", ""); w.Code != want {
			t.Errorf("%v: ready is %d, want %d", now.Sub(testNow), w.Code, want)
		}
	}
	ready(200) // a probe, for nothing was written yet
	broken.err = errDisk
	b.Store = broken
	ready(200) // as of the probe just now
	now = now.Add(probeEvery)
	ready(503)
	b.Store = bolt
	now = now.Add(probeEvery)
	ready(200)
	b.Store = broken
	b.post(token1, bodyOf(fields(0)))
	b.Store = bolt
	now = now.Add(probeEvery)
	ready(503) // a probe could fit where a batch does not
	b.ingested(sample(0))
	ready(200) // a batch that was stored is the best probe
}

// A load balancer sends no edge to a server that is not ready: it must find out by itself that its store is back.
func TestReadyAgainWithoutRequests(t *testing.T) {
	now := testNow
	var bolt store.Samples
	b := newBench(t, func(s *Server) {
		s.Now = func() time.Time { return now }
		bolt = s.Store
	})
	for range 2 { // after a success, and after a failure of long ago
		b.Store = brokenStore{err: errDisk}
		b.post(token1, bodyOf(fields(0)))
		for range 3 {
			now = now.Add(2 * time.Second)
			if w := b.get("/ready", ""); w.Code != 503 {
				t.Errorf("%v: ready is %d while the store is away", now.Sub(testNow), w.Code)
			}
		}
		b.Store = bolt
		now = now.Add(2 * time.Second)
		if w := b.get("/ready", ""); w.Code != 200 {
			t.Errorf("%v: ready is %d, the store is back", now.Sub(testNow), w.Code)
		}
		now = now.Add(time.Hour)
	}
}

// TestCallerThatHangsUpIsNoFaultOfTheStore: who hangs up often would otherwise look like an outage in the metrics.
func TestCallerThatHangsUpIsNoFaultOfTheStore(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Store = brokenStore{err: context.Canceled} })
	hungUp, cancel := context.WithCancel(t.Context())
	cancel()
	for status, ctx := range map[int]context.Context{499: hungUp, 503: t.Context()} {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.api.ServeHTTP(w, r.WithContext(ctx)) })
		if w := do(h, "POST", wire.IngestPath, token1, strings.NewReader(bodyOf(fields(0)))); w.Code != status {
			t.Errorf("%d %s, want %d", w.Code, w.Body, status)
		}
	}
}

// TestOldEdgesAndReadersKeepWorking compares with golden files of the contract's first implementation: what its edge
// sends, and what its readers expect. A difference is a broken client, not a file to update.
func TestOldEdgesAndReadersKeepWorking(t *testing.T) {
	golden := func(name string) string {
		t.Helper()
		body, err := os.ReadFile(filepath.Join("..", "..", "wire", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	b := newBench(t)
	sent := golden("ingest.json")
	if w := b.post(token1, sent, "Content-Type", "application/json"); w.Code != 200 || !sameJSON(t, w.Body.String(), golden("ingest.answer.json")) {
		t.Errorf("ingest: %d %s", w.Code, w.Body)
	}
	if w := b.post(token1, gzipped(sent), "Content-Encoding", "gzip"); w.Code != 200 || !sameJSON(t, w.Body.String(), `{"inserted":0}`) {
		t.Errorf("the same again, compressed: %d %s", w.Code, w.Body)
	}
	for target, file := range map[string]string{
		"/v1/realtime?device_id=inv-1":                     "realtime.answer.json",
		"/v1/series?device_id=inv-1&frame=day":             "series_day.answer.json",
		"/v1/series?device_id=inv-1&frame=month&partial=1": "series_month_partial.answer.json",
		"/v1/series?device_id=inv-1&frame=year":            "series_year.answer.json",
		"/v1/series?device_id=inv-2&frame=all":             "series_empty.answer.json",
		"/":                                                "root.answer.json",
		"/health":                                          "health.answer.json",
	} {
		w := b.get(target, viewerAll)
		if w.Code != http.StatusOK || !sameJSON(t, w.Body.String(), golden(file)) {
			t.Errorf("GET %s: %d\n got %s\nwant %s", target, w.Code, w.Body, golden(file))
		}
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatalf("%v: %s", err, a)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

func gzipped(text string) string {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}
