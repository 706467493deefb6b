package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
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
	tokens, err := auth.ParseTokens(
		token1+":inv-1,"+token1b+":inv-1,"+token2+":inv-2",
		viewer1+":inv-1,"+viewerAll+":*")
	if err != nil {
		t.Fatal(err)
	}
	log := new(logBuffer)
	s := &Server{Gate: request.Gate{Tokens: tokens, Now: func() time.Time { return testNow },
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, Devices: deviceinfo.Devices{Store: bolt}}
	s.Sites = bolt
	s.Issuer = &auth.Issuer{Store: bolt, Tokens: tokens, Log: s.Log, Now: func() time.Time { return s.Now() }}
	for _, f := range change {
		f(s)
	}
	return &bench{Server: s, t: t, api: s.Handler(), log: log, bolt: bolt}
}

// admin creates a token of an admin, which is adminToken.
func (b *bench) admin() {
	if _, _, err := b.Issuer.Create(b.t.Context(), auth.Wish{Role: store.RoleAdmin, Name: "Admin", Secret: adminToken}); err != nil {
		b.t.Fatal(err)
	}
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

// brokenTokens fails every call about tokens.
type brokenTokens struct {
	tokenStore
	err error
}

type tokenStore = store.Tokens

func (b brokenTokens) Tokens(context.Context) ([]store.Token, int64, error) { return nil, 0, b.err }
func (b brokenTokens) AddToken(context.Context, store.Token) error          { return b.err }
func (b brokenTokens) RevokeToken(context.Context, string, time.Time) (store.Token, error) {
	return store.Token{}, b.err
}

// brokenSites fails every call about sites.
type brokenSites struct{ err error }

func (b brokenSites) Sites(context.Context) ([]store.Site, error) { return nil, b.err }
func (b brokenSites) SetSite(context.Context, store.Site) error   { return b.err }
func (b brokenSites) RemoveSite(context.Context, string) error    { return b.err }

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
func (b brokenStore) SurroundedOf(context.Context, []string, store.Query) ([]store.Surroundings, error) {
	return nil, b.err
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
