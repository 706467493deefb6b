// Package vps is what is right of the wire: it stores what edges send and answers readers.
//
//	edge ── POST /v1/ingest ──> token ──> limits ──> decode ──> store.Insert ──> 200, durable
//	reader ── GET /v1/... ────> token ──> store.Latest, store.Periods ──> JSON
//	reader ── GET /v1/stream ─> token ──> what is stored from then on ──> events
//
// A handler returns its answer or an error; fail turns every error into a status. Before a token is known to be good, a
// request costs a few lines of header and nothing else: no body is read for it, and it takes no place of those that
// are served at once.
package vps

import (
	"net/http"
	"sync"
	"time"

	"sunspool/health"
	"sunspool/vps/store"
	"sunspool/wire"
)

// Server answers the API from a store. Set the fields before the first call of Handler, Internal or Readers.
type Server struct {
	Gate    // Tokens is required
	Devices // Store is required, and closed by its owner, after the last request

	// StoreHint says where an operator looks when samples cannot be stored.
	StoreHint string

	// Conflicts returns how many samples the store skipped as duplicates although they differ; may be nil.
	Conflicts func() uint64

	// DataDir is where the store keeps its file, "" where it has none; Certificate returns until when the server's own
	// certificate is valid, and is nil where it has none. The metrics show both.
	DataDir     string
	Certificate func() time.Time

	MaxSamples int   // per request; default wire.MaxSamples
	MaxBytes   int64 // per request, unpacked; default wire.MaxBytes

	Others *store.Redis  // carries new samples between processes that serve the same devices; nil for one alone
	Chain  *health.Chain // default one of its own

	once    sync.Once
	history History
	metrics *metrics
	stored  *health.Link
	live    live
	newest  newest
	crowded sync.Map // devices of which no more can be set aside; as many as have tokens

	lastWrite   lastWrite
	probing     sync.Mutex // guards those below
	probed      time.Time
	probeErr    error
	probeFailed time.Time // last
}

func (s *Server) init() {
	s.once.Do(func() {
		s.Gate.open()
		s.Devices.Gate = &s.Gate
		s.history = History{Devices: &s.Devices, exportCut: func(reason string) { s.metrics.exportsCut.WithLabelValues(reason).Inc() }}
		if s.MaxSamples == 0 {
			s.MaxSamples = wire.MaxSamples
		}
		if s.MaxBytes == 0 {
			s.MaxBytes = wire.MaxBytes
		}
		if s.Chain == nil {
			s.Chain = health.New(s.Now, s.Log)
		}
		s.metrics = allMetrics(s)
		s.answered, s.refused, s.storeAsked = s.metrics.request, s.metrics.authFailure, s.metrics.store
		s.stored = s.Chain.Link("store")
	})
}

// Handler serves the API to edges and readers that have a token.
func (s *Server) Handler() http.Handler {
	s.init()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.public(s.root))
	mux.Handle("GET "+wire.OpenAPIPath, s.public(s.openAPI))
	mux.Handle("GET "+wire.HealthPath, s.public(s.near(s.health)))
	mux.Handle("GET "+wire.ReadyPath, s.public(s.near(s.ready)))
	mux.Handle("POST "+wire.IngestPath, s.withUpload(s.ingest))
	mux.Handle("GET "+wire.RealtimePath, s.withToken(s.realtime))
	mux.Handle("GET "+wire.SeriesPath, s.withToken(s.history.series))
	mux.Handle("GET "+wire.StreamPath, s.withToken(s.stream))
	mux.Handle("GET "+wire.EnergyPath, s.withToken(s.history.energy))
	mux.Handle("GET "+wire.DevicesPath, s.withToken(s.devices))
	mux.Handle("GET "+wire.CapacityPath+"{month}", s.withToken(s.history.capacity))
	mux.Handle("GET "+wire.ContinuityPath, s.withToken(s.history.continuity))
	mux.Handle("GET "+wire.ExportPath, s.withToken(s.history.export))
	return s.around(mux)
}

// Internal serves what only the operator's own machines may see.
func (s *Server) Internal() http.Handler {
	s.init()
	mux := http.NewServeMux()
	mux.Handle("GET "+wire.DeviceMetricsPath, s.deviceMetrics())
	mux.Handle("GET "+wire.HealthPath, s.public(s.health))
	mux.Handle("GET "+wire.ReadyPath, s.public(s.ready))
	mux.Handle("GET "+wire.MetricsPath, s.metrics.handler())
	mux.Handle("GET "+wire.AsidePath, s.public(s.listAside))
	mux.Handle("DELETE "+wire.AsidePath, s.public(s.deleteAside))
	return s.around(mux)
}

// Readers serves the reading half of the API for one device to anybody, without a token. It has no route that writes
// and knows no other device: a demo listens with it on the loopback.
func (s *Server) Readers(device string) http.Handler {
	s.init()
	anybody := func(h handler) http.Handler { return s.as(caller{device: device, viewer: true}, h) }
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.public(s.root))
	mux.Handle("GET "+wire.OpenAPIPath, s.public(s.openAPI))
	mux.Handle("GET "+wire.HealthPath, s.public(s.health))
	mux.Handle("GET "+wire.RealtimePath, anybody(s.realtime))
	mux.Handle("GET "+wire.SeriesPath, anybody(s.history.series))
	mux.Handle("GET "+wire.StreamPath, anybody(s.stream))
	mux.Handle("GET "+wire.EnergyPath, anybody(s.history.energy))
	mux.Handle("GET "+wire.DevicesPath, anybody(s.devices))
	mux.Handle("GET "+wire.CapacityPath+"{month}", anybody(s.history.capacity))
	mux.Handle("GET "+wire.ContinuityPath, anybody(s.history.continuity))
	mux.Handle("GET "+wire.ExportPath, anybody(s.history.export))
	return s.around(mux)
}

func (s *Server) health(*call) (any, error) { return statusOK, nil }

func (s *Server) ready(c *call) (any, error) {
	if err := s.writable(c.r.Context()); err != nil {
		return nil, err
	}
	return statusOK, nil
}

var statusOK = map[string]string{"status": "ok"}
