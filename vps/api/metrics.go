package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sunspool/health"
	"sunspool/vps/history"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// metrics are what a server counts. No label takes a value from outside: routes, codes and operations are all ours.
type metrics struct {
	all prometheus.Gatherer

	ingests      *prometheus.CounterVec // by outcome: ok, or the code of the refusal
	stored       *prometheus.CounterVec // samples, by verdict: inserted or duplicate
	rejected     *prometheus.CounterVec // samples of lenient batches, by code
	authFailures *prometheus.CounterVec // by code
	setAside     *prometheus.CounterVec // samples of strict batches, by code
	exportsCut   *prometheus.CounterVec // by reason
	requests     *prometheus.HistogramVec
	calls        *prometheus.HistogramVec
}

// allMetrics returns the metrics of s in a registry of their own.
func allMetrics(s *Server) *metrics {
	registry := prometheus.NewRegistry()
	m := newMetrics(s, registry)
	m.all = registry
	return m
}

// newMetrics returns the metrics of s, which registry shows.
func newMetrics(s *Server, registry prometheus.Registerer) *metrics {
	health.RegisterProcess(registry, "vps", s.Version)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		registry.MustRegister(v)
		return v
	}
	seconds := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help,
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}, labels)
		registry.MustRegister(v)
		return v
	}
	m := &metrics{
		ingests:      counter("sunspool_ingests_total", "Ingest requests by outcome.", "outcome"),
		stored:       counter("sunspool_samples_total", "Samples accepted: inserted, or duplicate of one already stored.", "verdict"),
		rejected:     counter("sunspool_samples_rejected_total", "Samples of lenient batches that were not stored, by code.", "code"),
		authFailures: counter("sunspool_auth_failures_total", "Requests without a good token, by code.", "code"),
		setAside:     counter("sunspool_samples_set_aside_total", "Samples of strict batches whose time is impossible, taken and set aside, by code.", "code"),
		exportsCut:   counter("sunspool_exports_cut_total", "Exports that ended before they were whole, by reason.", "reason"),
		requests:     seconds("sunspool_http_request_duration_seconds", "Time to answer a request.", "route", "status"),
		calls:        seconds("sunspool_store_operation_duration_seconds", "Time of a call of the store.", "op", "outcome"),
	}
	m.stored.WithLabelValues("inserted")
	m.stored.WithLabelValues("duplicate")
	for _, reason := range history.ExportCuts {
		m.exportsCut.WithLabelValues(reason)
	}
	for _, code := range []string{wire.CodeTooOld, wire.CodeInFuture} {
		m.setAside.WithLabelValues(code)
	}
	registry.MustRegister(
		s.Chain,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sunspool_http_requests_in_flight",
			Help: "Requests with a good token that are being served."}, func() float64 { return float64(s.Reads.Taken() + s.Uploads.Taken()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sunspool_streams",
			Help: "Readers of /v1/stream."}, func() float64 { return float64(s.live.Count()) }),
	)
	if s.Certificate != nil {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sunspool_certificate_expiry_timestamp_seconds",
			Help: "Unix time until which the certificate of TLS_CERT_FILE is valid."},
			func() float64 { return float64(s.Certificate().Unix()) }))
	}
	if s.DataDir != "" {
		registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sunspool_data_disk_available_bytes",
				Help: "Bytes that the server can still write to the disk of DATA_DIR."},
				func() float64 { _, available := diskOf(s.DataDir); return float64(available) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sunspool_data_disk_size_bytes", Help: "Size of the disk of DATA_DIR."},
				func() float64 { size, _ := diskOf(s.DataDir); return float64(size) }))
	}
	if s.Conflicts != nil {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "sunspool_conflicts_total",
			Help: "Samples skipped as duplicates whose values differ from those stored."},
			func() float64 { return float64(s.Conflicts()) }))
	}
	return m
}

// request counts an answered request.
func (m *metrics) request(c *request.Request, took time.Duration) {
	m.requests.WithLabelValues(request.Route(c.HTTP), strconv.Itoa(c.Status)).Observe(took.Seconds())
	if request.Route(c.HTTP) == wire.IngestPath {
		outcome := "ok"
		if c.Status != http.StatusOK {
			outcome = c.Code
		}
		m.ingests.WithLabelValues(outcome).Inc()
	}
}

func (m *metrics) authFailure(code string) { m.authFailures.WithLabelValues(code).Inc() }

func (m *metrics) samples(inserted, duplicates int) {
	m.stored.WithLabelValues("inserted").Add(float64(inserted))
	m.stored.WithLabelValues("duplicate").Add(float64(duplicates))
}

func (m *metrics) store(op string, err error, took time.Duration) {
	outcome := "ok"
	switch {
	case err == nil || errors.Is(err, store.ErrNone):
	case store.Refused(err):
		outcome = "refused"
	default:
		outcome = "error"
	}
	m.calls.WithLabelValues(op, outcome).Observe(took.Seconds())
}

// handler serves the metrics. Middleware has the access log and the errors.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.all, promhttp.HandlerOpts{})
}
