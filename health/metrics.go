package health

import (
	"cmp"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// RegisterProcess gives registry what every role shows: the Go runtime, the process, and which build it is.
func RegisterProcess(registry prometheus.Registerer, role, version string) {
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sunspool_build_info",
			Help:        "Always 1: role is edge or vps, goversion the version of Go that built the program.",
			ConstLabels: prometheus.Labels{"role": role, "version": cmp.Or(version, "unknown"), "goversion": runtime.Version()}}, func() float64 { return 1 }),
	)
}

var linkUp = prometheus.NewDesc("sunspool_link_up",
	"1 while a link of the chain works or rests, 0 while it is broken; none until something has crossed it.", []string{"link"}, nil)

// Describe makes a chain a prometheus.Collector.
func (c *Chain) Describe(all chan<- *prometheus.Desc) { all <- linkUp }

// Collect gives sunspool_link_up of each link.
func (c *Chain) Collect(all chan<- prometheus.Metric) {
	for _, link := range c.Status() {
		switch link.State {
		case OK, Resting:
			all <- prometheus.MustNewConstMetric(linkUp, prometheus.GaugeValue, 1, link.Name)
		case Broken:
			all <- prometheus.MustNewConstMetric(linkUp, prometheus.GaugeValue, 0, link.Name)
		}
	}
}
