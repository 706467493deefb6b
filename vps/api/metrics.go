package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"sunspool/internal/metrics"
	"sunspool/vps/history"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// serverMetrics are what a server counts. No label takes a value from outside: routes, codes and operations are all ours.
type serverMetrics struct {
	all *metrics.Set

	ingests      metrics.Counters // by outcome: ok, or the code of the refusal
	stored       metrics.Counters // samples, by verdict: inserted or duplicate
	rejected     metrics.Counters // samples of lenient batches, by code
	authFailures metrics.Counters // by code
	setAside     metrics.Counters // samples of strict batches, by code
	exportsCut   metrics.Counters // by reason
	requests     metrics.Durations
	calls        metrics.Durations
}

// newMetrics returns the metrics of s.
func newMetrics(s *Server) *serverMetrics {
	all := metrics.NewSet()
	all.ShowProcess("vps", s.Version)
	all.ShowLinks(s.Chain, "")
	counter := func(name, help, label string) metrics.Counters {
		return all.Counters(metrics.Family{Name: name, Help: help, Labels: []string{label}})
	}
	seconds := func(name, help string, labels ...string) metrics.Durations {
		return all.Durations(metrics.Family{Name: name, Help: help, Labels: labels}, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10)
	}
	m := &serverMetrics{
		all:          all,
		ingests:      counter("sunspool_ingests_total", "Ingest requests by outcome.", "outcome"),
		stored:       counter("sunspool_samples_total", "Samples accepted: inserted, or duplicate of one already stored.", "verdict"),
		rejected:     counter("sunspool_samples_rejected_total", "Samples of lenient batches that were not stored, by code.", "code"),
		authFailures: counter("sunspool_auth_failures_total", "Requests without a good token, by code.", "code"),
		setAside:     counter("sunspool_samples_set_aside_total", "Samples of strict batches whose time is impossible, taken and set aside, by code.", "code"),
		exportsCut:   counter("sunspool_exports_cut_total", "Exports that ended before they were whole, by reason.", "reason"),
		requests:     seconds("sunspool_http_request_duration_seconds", "Time to answer a request.", "route", "status"),
		calls:        seconds("sunspool_store_operation_duration_seconds", "Time of a call of the store.", "op", "outcome"),
	}
	m.stored.With("inserted")
	m.stored.With("duplicate")
	for _, reason := range history.ExportCuts {
		m.exportsCut.With(reason)
	}
	for _, code := range []string{wire.CodeTooOld, wire.CodeInFuture} {
		m.setAside.With(code)
	}
	show := func(name, help string, value func() float64) {
		all.ShowOne(metrics.Family{Name: name, Help: help}, value)
	}
	show("sunspool_http_requests_in_flight", "Requests with a good token that are being served.",
		func() float64 { return float64(s.Reads.Taken() + s.Uploads.Taken()) })
	show("sunspool_streams", "Readers of /v1/stream.", func() float64 { return float64(s.live.Count()) })
	if s.Certificate != nil {
		show("sunspool_certificate_expiry_timestamp_seconds", "Unix time until which the certificate of TLS_CERT_FILE is valid.",
			func() float64 { return float64(s.Certificate().Unix()) })
	}
	if s.DataDir != "" {
		show("sunspool_data_disk_available_bytes", "Bytes that the server can still write to the disk of DATA_DIR.",
			func() float64 { _, available := diskOf(s.DataDir); return float64(available) })
		show("sunspool_data_disk_size_bytes", "Size of the disk of DATA_DIR.", func() float64 { size, _ := diskOf(s.DataDir); return float64(size) })
	}
	if s.Conflicts != nil {
		show("sunspool_conflicts_total", "Samples skipped as duplicates whose values differ from those stored.",
			func() float64 { return float64(s.Conflicts()) })
	}
	return m
}

// request counts an answered request.
func (m *serverMetrics) request(c *request.Request, took time.Duration) {
	m.requests.With(request.Route(c.HTTP), strconv.Itoa(c.Status)).Update(took.Seconds())
	if request.Route(c.HTTP) == wire.IngestPath {
		outcome := "ok"
		if c.Status != http.StatusOK {
			outcome = c.Code
		}
		m.ingests.With(outcome).Inc()
	}
}

func (m *serverMetrics) authFailure(code string) { m.authFailures.With(code).Inc() }

func (m *serverMetrics) samples(inserted, duplicates int) {
	m.stored.With("inserted").Add(inserted)
	m.stored.With("duplicate").Add(duplicates)
}

func (m *serverMetrics) store(op string, err error, took time.Duration) {
	outcome := "ok"
	switch {
	case err == nil || errors.Is(err, store.ErrNone):
	case store.Refused(err):
		outcome = "refused"
	default:
		outcome = "error"
	}
	m.calls.With(op, outcome).Update(took.Seconds())
}
