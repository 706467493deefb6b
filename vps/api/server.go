// Package api is the HTTP API: every route is in server.go.
//
//	edge ── POST /v1/ingest ──> token ──> limits ──> decode ──> store.Insert ──> 200, durable
//	reader ── GET /v1/... ────> token ──> history, or the newest sample ──> JSON
//	reader ── GET /v1/stream ─> token ──> what is stored from then on ──> events
//	browser ─ GET / ──────────> session ──> page, which asks as any reader does
//
// A handler returns its answer or an error; package request turns every error into a status.
package api

import (
	"net/http"
	"sync"
	"time"

	"sunspool/health"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/history"
	"sunspool/vps/live"
	"sunspool/vps/page"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/redis"
	"sunspool/vps/tariff"
	"sunspool/vps/web"
	"sunspool/wire"
)

// Server answers the API from a store. Set the fields before the first call of Handler, Internal or Readers.
type Server struct {
	request.Gate       // Tokens is required
	deviceinfo.Devices // Store is required, and closed by its owner, after the last request

	// Issuer creates and revokes tokens; without one there are those of the settings alone, none of which is an admin's.
	Issuer *auth.Issuer

	// File is the store if it is one file, of which the operator can take a backup; else nil.
	File store.File

	// StoreHint is where an operator looks when samples cannot be stored.
	StoreHint string

	// Conflicts returns how many samples the store skipped as duplicates although they differ; may be nil.
	Conflicts func() uint64

	// DataDir is where the store keeps its file, "" where it has none; Certificate returns until when the server's own
	// certificate is valid, and is nil where it has none. The metrics show both.
	DataDir     string
	Certificate func() time.Time

	// Tariff is what energy costs; nil when it is not known. Answers then have no money.
	Tariff *tariff.File

	MaxSamples int   // per request; default wire.MaxSamples
	MaxBytes   int64 // per request, unpacked; default wire.MaxBytes

	Others  *redis.Cache  // carries new samples between processes that serve the same devices; nil for one alone
	Pin     []byte        // of the server's own certificate authority, for pairing codes; nil without one
	HomeURL string        // where edges at home reach the server, "" if that is not known
	Chain   *health.Chain // default one of its own

	once     sync.Once
	pages    page.Pages
	history  history.History
	metrics  *serverMetrics
	stored   *health.Link
	live     live.Hub
	newest   newest
	compares comparisons
	crowded  sync.Map // devices of which no more can be set aside; as many as have tokens

	copying     sync.Mutex // held while a backup is taken
	lastWrite   lastWrite
	probing     sync.Mutex // guards those below
	probed      time.Time
	probeErr    error
	probeFailed time.Time // last
}

func (s *Server) init() {
	s.once.Do(func() {
		s.Gate.Open()
		s.Devices.Gate = &s.Gate
		s.history = history.History{Devices: &s.Devices, Tariff: s.Tariff, ExportCut: func(reason string) { s.metrics.exportsCut.With(reason).Inc() }}
		if s.MaxSamples == 0 {
			s.MaxSamples = wire.MaxSamples
		}
		if s.MaxBytes == 0 {
			s.MaxBytes = wire.MaxBytes
		}
		if s.Chain == nil {
			s.Chain = health.New(s.Now, s.Log)
		}
		s.metrics = newMetrics(s)
		s.Answered, s.Refused, s.StoreAsked = s.metrics.request, s.metrics.authFailure, s.metrics.store
		s.stored = s.Chain.Link("store")
		site, err := web.Default()
		if err != nil {
			panic(err) // the page that is in the program is whole, or its tests fail
		}
		s.pages = page.Pages{Gate: &s.Gate, Site: site, Zone: s.ZoneOf, Handlers: map[string]request.Handler{
			wire.DevicesPath: s.devices, wire.SitesPath: s.sites, wire.RealtimePath: s.realtime, wire.EnergyPath: s.history.Energy, wire.SeriesPath: s.history.Series,
		}}
	})
}

// Handler serves the API to edges and readers that have a token.
func (s *Server) Handler() http.Handler {
	s.init()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.Public(s.pages.Root))
	mux.Handle("GET "+wire.FilesPath+"{hash}/{file...}", s.Page(s.pages.File))
	mux.Handle("GET "+wire.LitePath, s.Page(s.pages.Lite))
	mux.Handle("POST "+wire.LitePath, s.Page(s.pages.LiteForm))
	mux.Handle("GET /manifest.webmanifest", s.Page(s.pages.Manifest))
	mux.Handle("GET /favicon.ico", s.Page(s.pages.Icon))
	mux.Handle("GET /robots.txt", s.Page(s.pages.Robots))
	mux.Handle("GET "+wire.SessionPath, s.Public(s.pages.Session))
	mux.Handle("POST "+wire.SessionPath, s.Public(s.pages.LogIn))
	mux.Handle("DELETE "+wire.SessionPath, s.Public(s.pages.LogOut))
	mux.Handle("GET "+wire.OpenAPIPath, s.Public(s.openAPI))
	mux.Handle("GET "+wire.HealthPath, s.Public(s.Near(s.health)))
	mux.Handle("GET "+wire.ReadyPath, s.Public(s.Near(s.ready)))
	mux.Handle("POST "+wire.IngestPath, s.WithUpload(s.ingest))
	mux.Handle("GET "+wire.RealtimePath, s.WithToken(s.realtime))
	mux.Handle("GET "+wire.SeriesPath, s.WithToken(s.history.Series))
	mux.Handle("GET "+wire.StreamPath, s.WithToken(s.stream))
	mux.Handle("GET "+wire.EnergyPath, s.WithToken(s.history.Energy))
	mux.Handle("GET "+wire.DevicesPath, s.WithToken(s.devices))
	mux.Handle("GET "+wire.PeaksPath, s.WithToken(s.history.Peaks))
	mux.Handle("GET "+wire.CapacityPath+"{month}", s.WithToken(s.history.Capacity))
	mux.Handle("GET "+wire.ContinuityPath, s.WithToken(s.history.Gaps))
	mux.Handle("GET "+wire.ExportPath, s.WithToken(s.history.Export))
	mux.Handle("GET "+wire.SitesPath, s.WithToken(s.sites))
	mux.Handle("GET "+wire.TokensPath, s.WithAdmin(s.listTokens))
	mux.Handle("POST "+wire.TokensPath, s.WithAdmin(s.createToken))
	mux.Handle("DELETE "+wire.TokensPath+"/{id}", s.WithAdmin(s.revokeToken))
	mux.Handle("GET "+wire.LastBackupPath, s.WithAdmin(s.lastBackup))
	mux.Handle("POST "+wire.PairPath, s.Public(s.pair))
	return s.Middleware(mux)
}

// Machine serves who is on the machine of the server and may open its socket: the operator.
func (s *Server) Machine() http.Handler {
	s.init()
	operator := func(h request.Handler) http.Handler { return s.As(auth.Operator, h) }
	mux := http.NewServeMux()
	mux.Handle("GET "+wire.TokensPath, operator(s.listTokens))
	mux.Handle("POST "+wire.TokensPath, operator(s.createToken))
	mux.Handle("DELETE "+wire.TokensPath+"/{id}", operator(s.revokeToken))
	mux.Handle("GET "+wire.PairPath, operator(s.home))
	mux.Handle("POST "+wire.PairPath, operator(s.offer))
	mux.Handle("GET "+wire.SitesPath, operator(s.sites))
	mux.Handle("PUT "+wire.SitesPath+"/{name}", operator(s.setSite))
	mux.Handle("DELETE "+wire.SitesPath+"/{name}", operator(s.removeSite))
	mux.Handle("GET "+wire.BackupPath, operator(s.backup))
	mux.Handle("GET "+wire.DevicesPath, operator(s.devices))
	mux.Handle("GET "+wire.ExportPath, operator(s.history.Export))
	mux.Handle("GET "+wire.EnergyPath, operator(s.history.Energy))
	mux.Handle("GET "+wire.ReadyPath, s.Public(s.ready))
	return s.Middleware(mux)
}

// Internal serves what only the operator's own machines may see.
func (s *Server) Internal() http.Handler {
	s.init()
	mux := http.NewServeMux()
	mux.Handle("GET "+wire.DeviceMetricsPath, s.deviceMetrics())
	mux.Handle("GET "+wire.HealthPath, s.Public(s.health))
	mux.Handle("GET "+wire.ReadyPath, s.Public(s.ready))
	mux.Handle("GET "+wire.MetricsPath, s.metrics.all)
	mux.Handle("GET "+wire.AsidePath, s.Public(s.listAside))
	mux.Handle("DELETE "+wire.AsidePath, s.Public(s.deleteAside))
	return s.Middleware(mux)
}

// Readers serves the reading half of the API for some devices to every caller, without a token. It has no route that writes
// and no other device: a demo listens with it on the loopback.
func (s *Server) Readers(devices ...string) http.Handler {
	s.init()
	anybody := func(h request.Handler) http.Handler { return s.As(auth.ViewerOf(devices...), h) }
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", anybody(s.pages.Root))
	mux.Handle("GET "+wire.FilesPath+"{hash}/{file...}", s.Page(s.pages.File))
	mux.Handle("GET "+wire.LitePath, anybody(s.pages.Lite))
	mux.Handle("GET /manifest.webmanifest", s.Page(s.pages.Manifest))
	mux.Handle("GET /favicon.ico", s.Page(s.pages.Icon))
	mux.Handle("GET /robots.txt", s.Page(s.pages.Robots))
	mux.Handle("GET "+wire.SessionPath, anybody(s.pages.Session))
	mux.Handle("GET "+wire.OpenAPIPath, s.Public(s.openAPI))
	mux.Handle("GET "+wire.HealthPath, s.Public(s.health))
	mux.Handle("GET "+wire.RealtimePath, anybody(s.realtime))
	mux.Handle("GET "+wire.SeriesPath, anybody(s.history.Series))
	mux.Handle("GET "+wire.StreamPath, anybody(s.stream))
	mux.Handle("GET "+wire.EnergyPath, anybody(s.history.Energy))
	mux.Handle("GET "+wire.DevicesPath, anybody(s.devices))
	mux.Handle("GET "+wire.PeaksPath, anybody(s.history.Peaks))
	mux.Handle("GET "+wire.CapacityPath+"{month}", anybody(s.history.Capacity))
	mux.Handle("GET "+wire.ContinuityPath, anybody(s.history.Gaps))
	mux.Handle("GET "+wire.ExportPath, anybody(s.history.Export))
	mux.Handle("GET "+wire.SitesPath, anybody(s.sites))
	return s.Middleware(mux)
}

func (s *Server) health(*request.Request) (any, error) { return statusOK, nil }

func (s *Server) ready(c *request.Request) (any, error) {
	if err := s.writable(c.HTTP.Context()); err != nil {
		return nil, err
	}
	return statusOK, nil
}

var statusOK = map[string]string{"status": "ok"}
