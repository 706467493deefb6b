package edge

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sunspool/health"
)

// metricsOf serves what the reports of a process show: the same numbers as health.json, those of an inverter with the label
// device.
func metricsOf(reports ...*Report) http.Handler {
	registry := prometheus.NewRegistry()
	registerMetrics(registry, reports...)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func registerMetrics(registry prometheus.Registerer, reports ...*Report) {
	health.RegisterProcess(registry, "edge", reports[0].version)
	registry.MustRegister(tallied{processCounts, reports[0].edge})
	for _, r := range reports {
		prometheus.WrapRegistererWith(prometheus.Labels{"device": r.device}, registry).MustRegister(r.Chain, tallied{inverterCounts, r.edge}, inverterMetrics{r})
	}
}

// tallied are counts of an edge.
type tallied struct {
	counts []count
	edge   *Edge
}

func (n tallied) Describe(all chan<- *prometheus.Desc) {
	for _, c := range n.counts {
		all <- c.desc()
	}
}

func (n tallied) Collect(all chan<- prometheus.Metric) {
	for _, c := range n.counts {
		kind := prometheus.GaugeValue
		if strings.HasSuffix(c.name, "_total") {
			kind = prometheus.CounterValue
		}
		all <- prometheus.MustNewConstMetric(c.desc(), kind, float64(c.value(n.edge)))
	}
}

// inverterMetrics are the numbers of one inverter. They are read when they are asked for.
type inverterMetrics struct{ *Report }

var (
	notMadeDesc = inverterDesc("samples_not_made_total", "Polls without a sample, by reason: of polls_total, all but those that gave one.", "reason")
	lostDesc    = inverterDesc("samples_lost_total", "Samples that were made but never reached the disk, by reason.", "reason")
)

func inverterDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sunspool_edge_"+name, help, labels, nil)
}

func (c count) desc() *prometheus.Desc { return inverterDesc(c.name, c.help) }

func (m inverterMetrics) Describe(all chan<- *prometheus.Desc) {
	all <- notMadeDesc
	all <- lostDesc
}

func (m inverterMetrics) Collect(all chan<- prometheus.Metric) {
	h := m.Now()
	for reason, n := range h.Missing {
		all <- prometheus.MustNewConstMetric(notMadeDesc, prometheus.CounterValue, float64(n), reason)
	}
	for reason, n := range h.Lost {
		all <- prometheus.MustNewConstMetric(lostDesc, prometheus.CounterValue, float64(n), reason)
	}
}
