package reference

import (
	"bytes"
	"cmp"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// Metrics holds a section of docs/metrics.md to the metrics that register gives a registry, and their names to the
// conventions of Prometheus, by its own promtool, which is at the path that is given. What is described must have a value, so whoever registers has made
// something of each kind happen; vectors of counters and histograms are given a value here.
func Metrics(t testing.TB, section, promtool string, register func(prometheus.Registerer)) {
	t.Helper()
	all := &recorder{Registry: prometheus.NewPedanticRegistry(), described: map[string]bool{}}
	register(all)
	all.fill(t)
	families, err := all.Gather()
	if err != nil {
		t.Fatal(err)
	}
	families = slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return !strings.HasPrefix(f.GetName(), "sunspool_") })
	var table, text bytes.Buffer
	table.WriteString("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, f := range families {
		delete(all.described, f.GetName())
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), unitOf(f.GetName()), labelsOf(f), f.GetHelp())
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	for name := range all.described {
		t.Errorf("%s is described and has no value here: let the test make one, so that docs/metrics.md has it", name)
	}
	Section(t, "metrics.md", section, table.String())
	lint(t, promtool, &text)
}

// lint has promtool look at metrics.
func lint(t testing.TB, promtool string, text *bytes.Buffer) {
	t.Helper()
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = text
	if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
}

// recorder is a registry that remembers what was registered.
type recorder struct {
	*prometheus.Registry
	vectors   []prometheus.Collector
	described map[string]bool // names of ours
}

func (r *recorder) Register(c prometheus.Collector) error {
	r.vectors = append(r.vectors, c)
	all := make(chan *prometheus.Desc)
	go func() {
		c.Describe(all)
		close(all)
	}()
	for desc := range all {
		if name := nameOf(desc); strings.HasPrefix(name, "sunspool_") {
			r.described[name] = true
		}
	}
	return r.Registry.Register(c)
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// nameOf is the name in a Desc, which only its text has.
func nameOf(desc *prometheus.Desc) string {
	_, rest, _ := strings.Cut(desc.String(), `fqName: "`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// fill gives each vector without a value one.
func (r *recorder) fill(t testing.TB) {
	for _, c := range r.vectors {
		var vector interface {
			prometheus.Collector
			with(map[string]string) error
		}
		switch v := c.(type) {
		case *prometheus.CounterVec:
			vector = counters{v}
		case *prometheus.GaugeVec:
			vector = gauges{v}
		case *prometheus.HistogramVec:
			vector = histograms{v}
		default:
			continue
		}
		descs := make(chan *prometheus.Desc, 1)
		vector.Describe(descs)
		labels := map[string]string{}
		for name := range strings.SplitSeq(variableLabels(<-descs), ",") {
			labels[name] = "x"
		}
		if err := vector.with(labels); err != nil {
			t.Fatal(err)
		}
	}
}

// variableLabels are the names in a Desc, separated by commas.
func variableLabels(desc *prometheus.Desc) string {
	_, rest, _ := strings.Cut(desc.String(), "variableLabels: {")
	names, _, _ := strings.Cut(rest, "}")
	return names
}

type counters struct{ *prometheus.CounterVec }
type gauges struct{ *prometheus.GaugeVec }
type histograms struct{ *prometheus.HistogramVec }

func (v counters) with(l map[string]string) error   { _, err := v.GetMetricWith(l); return err }
func (v gauges) with(l map[string]string) error     { _, err := v.GetMetricWith(l); return err }
func (v histograms) with(l map[string]string) error { _, err := v.GetMetricWith(l); return err }

// unitOf is the unit that a name ends in, by the conventions of Prometheus.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"):
		return "s since 1970"
	case strings.HasSuffix(name, "_info"):
		return ""
	}
	for suffix, unit := range map[string]string{"_seconds": "s", "_bytes": "bytes", "_watts": "W", "_joules": "J", "_celsius": "°C", "_ratio": "0 to 1",
		"samples": "samples", "requests": "requests"} {
		if strings.HasSuffix(name, suffix) {
			return unit
		}
	}
	return ""
}

// labelsOf are the names of the labels of a family.
func labelsOf(f *dto.MetricFamily) string {
	var names []string
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if name := "`" + l.GetName() + "`"; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, cmp.Compare)
	return strings.Join(names, ", ")
}
