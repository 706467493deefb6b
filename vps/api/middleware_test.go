package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/vps/request"
	"sunspool/wire"
)

func TestAPanicIs500LoggedOnceWithoutItsText(t *testing.T) {
	b := newBench(t)
	for name, boom := range map[string]func(){
		"text":    func() { panic("with " + token1) },
		"runtime": func() { _ = []int{}[len(b.log.String())] },
	} {
		mux := http.NewServeMux()
		mux.Handle("GET /boom", b.Public(func(*request.Request) (any, error) { boom(); return nil, nil }))
		b.log.Reset()
		w := do(b.Middleware(mux), "GET", "/boom", token1, nil)
		if w.Code != 500 || w.Body.String() != `{"detail":"Internal Server Error"}` {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		log := b.log.String()
		if strings.Count(log, "request panicked") != 1 || !strings.Contains(log, "middleware_test.go") && !strings.Contains(log, "TestAPanic") {
			t.Errorf("%s: %s", name, log)
		}
		if strings.Contains(log, token1) {
			t.Errorf("%s: the token is in the log: %s", name, log)
		}
	}
	if b.Reads.Taken()+b.Uploads.Taken() != 0 {
		t.Error("a place is lost")
	}
}

// TestNothingFromOutsideBreaksTheLog: one line per request, valid JSON, short, whatever the request holds.
func TestNothingFromOutsideBreaksTheLog(t *testing.T) {
	b := newBench(t)
	evil := "x\r\n{\"level\":\"ERROR\"}\x1b[31m" + strings.Repeat("y", 5000)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Method, r.RemoteAddr, r.URL.Path = evil, evil, "/"+evil
		b.api.ServeHTTP(w, r)
	})
	do(h, "GET", "/", "", nil, "User-Agent", evil, "Authorization", "Bearer "+evil)
	b.get("/v1/realtime?device_id="+strings.Repeat("z", 5000), viewerAll)
	b.get("/v1/series?frame="+strings.Repeat("z", 5000)+"&device_id=inv-1", viewerAll)
	body, _ := json.Marshal(map[string]any{"tz": "\x1b" + strings.Repeat("é", 60), "samples": []any{}})
	b.post(token1, string(body))

	lines := strings.Split(strings.TrimSuffix(b.log.String(), "\n"), "\n")
	if len(lines) != 5 { // four requests, and the zone
		t.Errorf("%d lines:\n%s", len(lines), b.log)
	}
	for _, line := range lines {
		if len(line) > 1000 || !json.Valid([]byte(line)) || strings.ContainsAny(line, "\x1b\r") {
			t.Errorf("%d bytes: %q", len(line), line)
		}
	}
}

func TestAccessLogSaysWhatHappened(t *testing.T) {
	b := newBench(t)
	body := bodyOf(fields(0))
	b.post(token1, body)
	var line struct {
		Level, Msg, Method, Route, Device, Remote string
		Status                                    int
		BytesIn                                   int      `json:"bytes_in"`
		BytesOut                                  int      `json:"bytes_out"`
		Duration                                  *float64 `json:"duration_ms"`
	}
	last := func() {
		lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
			t.Fatal(err)
		}
	}
	last()
	if line.Level != "DEBUG" || line.Msg != "request" || line.Method != "POST" || line.Route != wire.IngestPath || line.Device != "inv-1" ||
		line.Remote != "192.0.2.1" || line.Status != 200 || line.BytesIn != len(body) || line.BytesOut != len(`{"inserted":1}`) || line.Duration == nil {
		t.Errorf("%+v of %s", line, b.log)
	}
	b.post(tokenWrong, body)
	if last(); line.Level != "INFO" || line.Status != 401 {
		t.Errorf("%+v of a request that was refused", line)
	}
}

func TestMetricsCountWhatHappened(t *testing.T) {
	b := newBench(t, func(s *Server) {
		s.Conflicts = func() uint64 { return 7 }
		s.Chain = health.New(time.Now, slog.New(slog.DiscardHandler))
		s.Chain.Link("redis").Report(errors.New("away"))
		s.Chain.Link("new") // nothing is known of it
	})
	b.ingested(sample(0), sample(time.Second))
	b.post(token1, bodyOf(fields(0), with(fields(0), "ts", "x")), "Prefer", wire.Lenient)
	b.post(token1, bodyOf(with(fields(0), "ts", "x")))
	b.post("", bodyOf())
	b.post(tokenWrong, bodyOf())
	w := do(b.Internal(), "GET", "/metrics", "", nil)
	for _, want := range []string{
		`sunspool_samples_total{verdict="inserted"} 2`,
		`sunspool_samples_total{verdict="duplicate"} 1`,
		`sunspool_samples_rejected_total{code="datetime_parsing"} 1`,
		`sunspool_ingests_total{outcome="ok"} 2`,
		`sunspool_ingests_total{outcome="datetime_parsing"} 1`,
		`sunspool_ingests_total{outcome="no_token"} 1`,
		`sunspool_auth_failures_total{code="bad_token"} 1`,
		`sunspool_http_request_duration_seconds_count{route="/v1/ingest",status="200"} 2`,
		`sunspool_store_operation_duration_seconds_count{op="insert",outcome="ok"} 2`,
		`sunspool_http_requests_in_flight 0`,
		`sunspool_conflicts_total 7`,
		`sunspool_link_up{link="redis"} 0`,
		`sunspool_link_up{link="store"} 1`,
		`sunspool_build_info{`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
	} {
		if !strings.Contains(w.Body.String(), "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	if w.Code != 200 || strings.Contains(w.Body.String(), `link="new"`) {
		t.Errorf("%d, or a link that nothing crossed", w.Code)
	}
}
