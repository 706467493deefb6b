package vps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// It is a summer's day in Brussels (UTC+2), half past twelve there.
var testNow = time.Date(2026, 6, 21, 10, 30, 0, 0, time.UTC)

// The tokens of every test. A canary must appear nowhere but in a request's own header.
const (
	token1     = "canary-device-1-0123456789abcdef"
	token1b    = "canary-device-1b-0123456789abcde"
	token2     = "canary-device-2-0123456789abcdef"
	viewer1    = "canary-viewer-1-0123456789abcdef"
	viewerAll  = "canary-viewer-x-0123456789abcdef"
	tokenWrong = "canary-nobody-0123456789abcdefgh"
)

// bench is a server on a store of its own, with a clock that stands still and a log that can be read.
type bench struct {
	*Server
	t    testing.TB
	api  http.Handler
	log  *logBuffer
	bolt *bolt.Store
}

func newBench(t testing.TB, change ...func(*Server)) *bench {
	t.Helper()
	bolt, err := bolt.Open(filepath.Join(t.TempDir(), "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bolt.Close() })
	tokens, err := ParseTokens(
		token1+":inv-1,"+token1b+":inv-1,"+token2+":inv-2",
		viewer1+":inv-1,"+viewerAll+":*")
	if err != nil {
		t.Fatal(err)
	}
	log := new(logBuffer)
	s := &Server{Store: bolt, Tokens: tokens, Now: func() time.Time { return testNow },
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(s)
	}
	return &bench{Server: s, t: t, api: s.Handler(), log: log, bolt: bolt}
}

// logBuffer collects what many goroutines log.
type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// do sends one request to h; headers are name, value pairs.
func do(h http.Handler, method, target, token string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	if target == wire.HealthPath || target == wire.ReadyPath {
		r.RemoteAddr = "10.0.0.7:1234" // an orchestrator
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (b *bench) get(target, token string) *httptest.ResponseRecorder {
	return do(b.api, "GET", target, token, nil)
}

func (b *bench) post(token, body string, headers ...string) *httptest.ResponseRecorder {
	return do(b.api, "POST", wire.IngestPath, token, strings.NewReader(body), headers...)
}

// ingested sends samples and expects them to be new.
func (b *bench) ingested(samples ...wire.Sample) {
	b.t.Helper()
	body, _ := json.Marshal(wire.Batch{Samples: samples})
	w := b.post(token1, string(body))
	if want := fmt.Sprintf(`{"inserted":%d}`, len(samples)); w.Code != 200 || w.Body.String() != want {
		b.t.Fatalf("ingest: %d %s, want %s", w.Code, w.Body, want)
	}
}

// stored counts the samples of a device in the store.
func (b *bench) stored(device string) (n int) {
	b.t.Helper()
	periods, err := b.bolt.Periods(b.t.Context(), store.Query{Device: device, To: testNow.AddDate(1, 0, 0), Resolution: store.Month})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, p := range periods {
		n += int(p.Count)
	}
	return n
}

func decodeJSON[T any](t testing.TB, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		t.Fatalf("Content-Type %q", ct)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

// fields is a sample of the contract as a JSON object that a test may spoil.
func fields(ago time.Duration) map[string]any {
	return map[string]any{
		"device_id": "inv-1", "ts": testNow.Add(-ago).Format(time.RFC3339Nano),
		"pv_power_w": 4210.5, "pv_daily_kwh": 12.3, "battery_power_w": 1480, "battery_soc_pct": 62.4,
		"battery_temp_c": 21.5, "load_power_w": 730, "export_power_w": 2000.5, "sample_count": 1,
	}
}

func with(f map[string]any, name string, v any) map[string]any {
	f = maps.Clone(f)
	f[name] = v
	return f
}

func without(f map[string]any, name string) map[string]any {
	f = maps.Clone(f)
	delete(f, name)
	return f
}

func bodyOf(samples ...map[string]any) string {
	if samples == nil {
		samples = []map[string]any{}
	}
	b, err := json.Marshal(map[string]any{"samples": samples})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// sample is a stored form of fields.
func sample(ago time.Duration) wire.Sample {
	return wire.Sample{DeviceID: "inv-1", Time: testNow.Add(-ago), PVPowerW: 4210.5, PVDailyKWh: new(12.3),
		BatteryPowerW: new(1480.0), BatterySOCPct: new(62.4), BatteryTempC: new(21.5), LoadPowerW: new(730.0),
		ExportPowerW: new(2000.5), Count: 1}
}

// brokenStore fails every call, as a disk that went away does.
type brokenStore struct {
	store.Samples
	err error
}

var errDisk = errors.New("disk fell off")

func (b brokenStore) Insert(context.Context, string, []wire.Sample) (int, error) { return 0, b.err }
func (b brokenStore) Latest(context.Context, string) (wire.Sample, error) {
	return wire.Sample{}, b.err
}
func (b brokenStore) Periods(context.Context, store.Query) ([]energy.Period, error) {
	return nil, b.err
}
func (b brokenStore) Surrounded(context.Context, store.Query) ([]energy.Period, energy.Around, error) {
	return nil, energy.Around{}, b.err
}
func (b brokenStore) GreatestW(context.Context, string) (float64, error)  { return 0, b.err }
func (b brokenStore) Describe(context.Context, string, store.About) error { return b.err }
func (b brokenStore) SetAside(context.Context, string, []store.Aside) ([]store.Aside, error) {
	return nil, b.err
}
func (b brokenStore) Check(context.Context) error { return b.err }
func (b brokenStore) About(context.Context, string) (store.About, error) {
	return store.About{}, b.err
}
