package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sunspool/health"
	"sunspool/wire"
)

// Serve answers /status (Health, as JSON) and /metrics (Prometheus) on a unix socket at path: whoever may open the
// socket may ask, and nobody from outside can.
func (r *Report) Serve(path string) (*http.Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err // left over by a process that was killed; the spool's lock says that it is gone
	}
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
	mux.Handle("GET "+wire.MetricsPath, promhttp.HandlerFor(r.metrics(), promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	go server.Serve(listener)
	return server, nil
}

// metrics shows the counters that the parts keep.
func (r *Report) metrics() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), missing{r})
	number := func(kind func(name, help string, f func() float64) prometheus.Collector, name, help string, f func() int64) {
		reg.MustRegister(kind("sunspool_edge_"+name, help, func() float64 { return float64(f()) }))
	}
	counter := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f)
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	e := r.edge
	number(counter, "polls_total", "Polls that were tried.", func() int64 { return int64(r.Now().Polls) })
	number(counter, "modbus_requests_total", "Modbus requests.", e.Inverter.Link.Requests.Load)
	number(counter, "modbus_connects_total", "Connections tried to the inverter.", e.Inverter.Link.Connects.Load)
	number(counter, "modbus_exceptions_total", "Modbus exceptions.", e.Inverter.Exceptions.Load)
	number(counter, "modbus_retries_total", "Reads tried again after an exception.", e.Inverter.Retries.Load)
	number(counter, "modbus_stale_total", "Answers to requests of somebody else.", e.Inverter.Link.Stale.Load)
	number(counter, "upload_requests_total", "Requests to the server.", e.Uploader.Requests.Load)
	number(counter, "uploaded_samples_total", "Samples that the server has.", e.Uploader.Uploaded.Load)
	number(counter, "duplicate_samples_total", "Samples that the server had already.", e.Uploader.Duplicates.Load)
	number(counter, "rejected_samples_total", "Samples that the server will not take.", e.Uploader.Rejected.Load)
	number(gauge, "spool_samples", "Samples that the server does not have yet.", func() int64 { return int64(e.Spool.Waiting()) })
	number(gauge, "spool_quarantined_samples", "Samples in quarantine.", func() int64 { return int64(e.Spool.InQuarantine()) })
	number(gauge, "spool_bytes", "Size of the spool file.", e.Spool.Bytes)
	number(gauge, "spool_used_bytes", "Bytes of the spool file that hold something.", func() int64 { return e.Spool.Room().Used })
	number(gauge, "spool_limit_bytes", "The most that the spool may use.", func() int64 { return e.Spool.Room().Limit })
	number(gauge, "ram_only_samples", "Samples that are not on the disk yet.", func() int64 { return int64(e.ring.Len()) })
	number(counter, "written_bytes_total", "Bytes that this process had written to disks.", bytesWritten)
	number(gauge, "last_sample_timestamp_seconds", "Unix time of the last sample.", func() int64 { return max(r.lastSample().Unix(), 0) })
	return reg
}

// missing shows the samples that were not made, and the links, whose labels are not known beforehand.
type missing struct{ r *Report }

var (
	missingDesc = prometheus.NewDesc("sunspool_edge_samples_not_made_total", "Polls without a sample, by reason.", []string{"reason"}, nil)
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
