package edge

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sunspool/health"
	"sunspool/wire"
)

// Serve answers /status (Health, as JSON), /metrics (Prometheus) and /quarantine (a page of the samples that the server
// refused) on a unix socket at path: whoever may open the socket may ask, and nobody from outside can.
func (r *Report) Serve(path string) (*http.Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("status socket %s: there is a file of that name that is not a socket", path)
	} else if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("status socket %s: another process answers there", path)
	}
	os.Remove(path) // left over by a process that was killed
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("status socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		listener.Close()
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(r.Now())
	})
	mux.HandleFunc("GET "+quarantinePath, r.serveQuarantine)
	mux.Handle("GET "+wire.MetricsPath, promhttp.HandlerFor(r.metrics(), promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	go server.Serve(listener)
	return server, nil
}

// metrics shows the same numbers as health.json.
func (r *Report) metrics() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), missing{r})
	for _, c := range counts {
		name, value := "sunspool_edge_"+c.name, func() float64 { return float64(c.value(r.edge)) }
		if strings.HasSuffix(c.name, "_total") {
			reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: c.help}, value))
		} else {
			reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: c.help}, value))
		}
	}
	return reg
}

// missing shows the samples that were not made, and the links, whose labels are not known beforehand.
type missing struct{ r *Report }

var (
	missingDesc = prometheus.NewDesc("sunspool_edge_samples_not_made_total", "Polls without a sample, by reason: of polls_total, all but those that gave one.", []string{"reason"}, nil)
	lostDesc    = prometheus.NewDesc("sunspool_edge_samples_lost_total", "Samples that were made but never reached the disk, by reason.", []string{"reason"}, nil)
	linkDesc    = prometheus.NewDesc("sunspool_edge_link_ok", "1 while the link is not broken.", []string{"link"}, nil)
)

func (m missing) Describe(c chan<- *prometheus.Desc) {
	c <- missingDesc
	c <- lostDesc
	c <- linkDesc
}

func (m missing) Collect(c chan<- prometheus.Metric) {
	h := m.r.Now()
	for reason, n := range h.Missing {
		c <- prometheus.MustNewConstMetric(missingDesc, prometheus.CounterValue, float64(n), reason)
	}
	for reason, n := range h.Lost {
		c <- prometheus.MustNewConstMetric(lostDesc, prometheus.CounterValue, float64(n), reason)
	}
	for _, l := range h.Links {
		ok := 1.0
		if l.State == health.Broken {
			ok = 0
		}
		c <- prometheus.MustNewConstMetric(linkDesc, prometheus.GaugeValue, ok, l.Name)
	}
}
