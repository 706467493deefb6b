package edge

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sunspool/edge/pace"
	"sunspool/edge/spool"
	"sunspool/edge/upload"
	"sunspool/health"
	"sunspool/internal/durable"
)

// registerMetrics gives registry what the reports of a process show: the same numbers as health.json and a few more, those
// of an inverter with the label device.
func registerMetrics(registry prometheus.Registerer, reports ...*Report) {
	health.RegisterProcess(registry, "edge", reports[0].version)
	registry.MustRegister(tallied{processCounts, reports[0].edge}, dongleMetrics{reports[0].edge.Pace})
	for _, r := range reports {
		prometheus.WrapRegistererWith(prometheus.Labels{"device": r.device}, registry).MustRegister(
			r.Chain, tallied{inverterCounts, r.edge}, inverterMetrics{r})
	}
}

func edgeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sunspool_edge_"+name, help, labels, nil)
}

// tallied are counts of an edge.
type tallied struct {
	counts []count
	edge   *Edge
}

func (t tallied) Describe(all chan<- *prometheus.Desc) {
	for _, c := range t.counts {
		all <- c.desc()
	}
}

func (t tallied) Collect(all chan<- prometheus.Metric) {
	for _, c := range t.counts {
		kind, v := prometheus.GaugeValue, c.value(t.edge)
		switch {
		case strings.HasSuffix(c.name, "_total"):
			kind = prometheus.CounterValue
		case strings.HasSuffix(c.name, "_timestamp_seconds") && v == 0:
			continue // it has not happened, which is no time
		}
		all <- prometheus.MustNewConstMetric(c.desc(), kind, float64(v))
	}
}

func (c count) desc() *prometheus.Desc { return edgeDesc(c.name, c.help) }

var touchDesc = edgeDesc("last_touch_timestamp_seconds", "Unix time when the dongle was last asked for a connection or for the first registers of a poll.")

// dongleMetrics are those of what several inverters may be behind.
type dongleMetrics struct{ pace *pace.Pace }

func (m dongleMetrics) Describe(all chan<- *prometheus.Desc) { all <- touchDesc }

func (m dongleMetrics) Collect(all chan<- prometheus.Metric) {
	instant(all, touchDesc, m.pace.LastTouch())
}

// inverterMetrics are what is known of one inverter beside its counts. They are read when they are asked for.
type inverterMetrics struct{ *Report }

// What inverterMetrics shows.
var (
	infoDesc        = edgeDesc("inverter_info", "Always 1: the model of the inverter, once it is known.", "model")
	statusDesc      = edgeDesc("status", "1 for how the edge is: ok, degraded (it recovers by itself) or blocked (somebody must act); 0 for the others.", "status")
	faultDesc       = edgeDesc("fault", "1 for each reason why the edge is not ok at present, by its code (see errors.md).", "code")
	clockDesc       = edgeDesc("clock_source", "1 for the source of the time of a sample made now: synced, server, believed or unsynced; 0 for the others.", "source")
	notMadeDesc     = edgeDesc("samples_not_made_total", "Polls without a sample, by reason: of polls_total, all but those that gave one.", "reason")
	lostDesc        = edgeDesc("samples_lost_total", "Samples that were made but never reached the disk, by reason.", "reason")
	uploadsDesc     = edgeDesc("uploads_total", "Uploads tried, by result: ok, refused (samples), or the code of what went wrong.", "result")
	intervalDesc    = edgeDesc("poll_interval_seconds", "Time between two polls of the inverter while the spool has room.")
	pollDesc        = edgeDesc("last_poll_timestamp_seconds", "Unix time of the last poll that gave a sample.")
	uploadDesc      = edgeDesc("last_upload_timestamp_seconds", "Unix time of the last upload of which the server took samples.")
	oldestDesc      = edgeDesc("spool_oldest_sample_timestamp_seconds", "Unix time of the oldest sample that the server does not have yet; none while it has all.")
	damagedDesc     = edgeDesc("damaged_spool_bytes", "Size of damaged spools that are kept beside the spool.")
	diskDesc        = edgeDesc("spool_disk_available_bytes", "Bytes that the edge can still write to the disk of the spool.")
	certificateDesc = edgeDesc("server_certificate_expiry_timestamp_seconds", "Unix time until which the server's certificate is valid, as it was last shown.")
)

func (m inverterMetrics) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{infoDesc, statusDesc, faultDesc, clockDesc, notMadeDesc, lostDesc, uploadsDesc, intervalDesc,
		pollDesc, uploadDesc, oldestDesc, damagedDesc, diskDesc, certificateDesc} {
		all <- d
	}
}

func (m inverterMetrics) Collect(all chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	oneOf := func(desc *prometheus.Desc, now string, states ...string) {
		for _, state := range states {
			v := 0.0
			if state == now {
				v = 1
			}
			gauge(desc, v, state)
		}
	}
	counters := func(desc *prometheus.Desc, of map[string]int) {
		for label, n := range of {
			all <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), label)
		}
	}
	h := m.Now()
	if h.Model != "" {
		gauge(infoDesc, 1, h.Model)
	}
	oneOf(statusDesc, h.Status, StateOK, StateDegraded, StateBlocked)
	for _, code := range h.Reasons {
		gauge(faultDesc, 1, code)
	}
	oneOf(clockDesc, h.Clock, spool.Synced.String(), spool.ByServer.String(), spool.Believed.String(), spool.Undated.String())
	counters(notMadeDesc, h.Missing)
	counters(lostDesc, h.Lost)
	counters(uploadsDesc, m.results())
	gauge(intervalDesc, h.PollS)
	if h.LastPoll != nil {
		instant(all, pollDesc, *h.LastPoll)
	}
	if h.LastUpload != nil {
		instant(all, uploadDesc, *h.LastUpload)
	}
	instant(all, oldestDesc, m.oldest.of(m.edge.Spool))
	gauge(damagedDesc, float64(h.Damaged))
	gauge(diskDesc, float64(durable.FreeBytes(filepath.Dir(m.edge.Spool.Path()))))
	if t, ok := m.edge.Uploader.Client.Transport.(interface{ CertificateExpiry() time.Time }); ok {
		instant(all, certificateDesc, t.CertificateExpiry())
	}
}

// instant gives a time, unless it is none.
func instant(all chan<- prometheus.Metric, desc *prometheus.Desc, t time.Time) {
	if !t.IsZero() {
		all <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(t.UnixMilli())/1000)
	}
}

// oldestAsk asks a spool for its oldest sample without waiting for a disk that hangs: one question is under way at most.
type oldestAsk struct{ asking atomic.Bool }

const oldestWait = time.Second

// of returns the time of the oldest sample that waits, zero if there is none or it is not known soon.
func (o *oldestAsk) of(s *spool.Spool) time.Time {
	if s.Ready() == 0 || !o.asking.CompareAndSwap(false, true) {
		return time.Time{}
	}
	answer := make(chan time.Time, 1)
	go func() {
		defer o.asking.Store(false)
		oldest, _ := s.Oldest()
		answer <- oldest
	}()
	select {
	case oldest := <-answer:
		return oldest
	case <-time.After(oldestWait):
		return time.Time{}
	}
}

// resultOf names how an upload went for sunspool_edge_uploads_total: accepted is whether the server took anything.
func resultOf(accepted bool, err error) string {
	if f, ok := errors.AsType[*health.Fault](upload.Explain(err)); ok {
		return f.Code
	}
	if !accepted {
		return "refused"
	}
	return "ok"
}

// tried counts an upload by its result.
func (r *Report) tried(result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.uploads == nil {
		r.uploads = make(map[string]int)
	}
	r.uploads[result]++
}

// results returns how many uploads were tried, by result.
func (r *Report) results() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.uploads)
}
