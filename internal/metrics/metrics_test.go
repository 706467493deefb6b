package metrics

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// parsed is what a parser of Prometheus reads in an answer.
func parsed(t *testing.T, set *Set) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	set.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if format := expfmt.ResponseFormat(w.Header()); w.Code != 200 || format.FormatType() != expfmt.TypeTextPlain {
		t.Errorf("%d, %s", w.Code, w.Header())
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s", err, w.Body)
	}
	return families
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.Label {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// Each family has its HELP and TYPE once, however many values it has and in whatever order they come.
func TestFamiliesAreWhole(t *testing.T) {
	set := NewSet()
	watts := Family{"sunspool_power_watts", `Power, with a \ and a " in the help.`, []string{"device"}}
	energy := Family{"sunspool_energy_joules_total", "Energy.", []string{"device"}}
	never := Family{"sunspool_never", "Nothing was measured.", nil}
	set.Show(func(v *Values) {
		for _, device := range []string{"b", "a", "c"} {
			v.Add(watts, -1.5, device)
			v.Add(energy, 3.6e12, device)
		}
	}, watts, energy, never)
	uploads := set.Counters(Family{"sunspool_uploads_total", "Uploads.", []string{"outcome"}})
	uploads.With("ok").Add(2)
	uploads.With("refused").Inc()
	set.ShowOne(Family{Name: "sunspool_streams", Help: "Readers."}, func() float64 { return 3 })
	all := parsed(t, set)
	if names := slices.Sorted(maps.Keys(all)); !slices.Equal(names, []string{"sunspool_energy_joules_total", "sunspool_power_watts", "sunspool_streams", "sunspool_uploads_total"}) {
		t.Errorf("%v", names)
	}
	if f := all[watts.Name]; f.GetHelp() != watts.Help || f.GetType() != dto.MetricType_GAUGE || len(f.Metric) != 3 || f.Metric[1].GetGauge().GetValue() != -1.5 {
		t.Errorf("%v", f)
	}
	if f := all[energy.Name]; f.GetHelp() != energy.Help || f.GetType() != dto.MetricType_COUNTER || len(f.Metric) != 3 || f.Metric[2].GetCounter().GetValue() != 3.6e12 {
		t.Errorf("%v", f)
	}
	if f := all["sunspool_uploads_total"]; f.GetType() != dto.MetricType_COUNTER || len(f.Metric) != 2 || f.Metric[0].GetCounter().GetValue() != 2 {
		t.Errorf("%v", f)
	}
	if f := all["sunspool_streams"]; f.GetType() != dto.MetricType_GAUGE || f.Metric[0].GetGauge().GetValue() != 3 {
		t.Errorf("%v", f)
	}
}

// A label may have any value.
func TestLabelsAreEscaped(t *testing.T) {
	for _, value := range []string{"", "x", `"`, `\`, `\"`, "a\nb", "# HELP a_label x", "{", "}", `a="b",c="d"`, ",", "é", "\xff", "ends in \\"} {
		set := NewSet()
		shown := Family{"sunspool_info", "Always 1.", []string{"model", "device"}}
		set.Show(func(v *Values) { v.Add(shown, 1, value, "roof") }, shown)
		set.Counters(Family{"sunspool_uploads_total", "Uploads.", []string{"b", "a"}}).With(value, "roof").Inc()
		set.Durations(Family{"sunspool_seconds", "Time.", []string{"b", "a"}}, 1, 2).With(value, "roof").Update(1)
		want := strings.ToValidUTF8(value, "\uFFFD")
		for name, f := range parsed(t, set) {
			labels := labelsOf(f.Metric[0])
			if labels["device"]+labels["a"] != "roof" || labels["model"]+labels["b"] != want || len(f.Metric) != 1 {
				t.Errorf("%s, %q: %v", name, value, f)
			}
		}
	}
}

func TestDurationsAreInTheirBuckets(t *testing.T) {
	set := NewSet()
	took := set.Durations(Family{"sunspool_took_seconds", "Time.", []string{"op"}}, .0005, .01, 1, 10)
	for _, seconds := range []float64{0, .0005, .0006, 1, 9, 11} {
		took.With("insert").Update(seconds)
	}
	f := parsed(t, set)["sunspool_took_seconds"]
	if f.GetType() != dto.MetricType_HISTOGRAM || f.GetHelp() != "Time." || len(f.Metric) != 1 {
		t.Fatalf("%v", f)
	}
	h := f.Metric[0].GetHistogram()
	var got []string
	for _, b := range h.Bucket {
		got = append(got, fmt.Sprintf("%v %d", b.GetUpperBound(), b.GetCumulativeCount()))
	}
	if want := []string{"0.0005 2", "0.01 3", "1 4", "10 5", "+Inf 6"}; !slices.Equal(got, want) || h.GetSampleCount() != 6 || h.GetSampleSum() != 21.0011 {
		t.Errorf("%q, want %q: %v", got, want, h)
	}
}

// What dashboards of Go programs ask for is there.
func TestProcessIsShown(t *testing.T) {
	set := NewSet()
	set.ShowProcess("edge", "")
	all := parsed(t, set)
	for _, name := range []string{"go_goroutines", "go_info", "go_threads", "go_memstats_alloc_bytes", "go_memstats_heap_inuse_bytes", "go_gc_duration_seconds",
		"process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_start_time_seconds", "process_open_fds", "process_max_fds"} {
		if all[name] == nil || all[name].GetType() == dto.MetricType_UNTYPED {
			t.Errorf("%s: %v", name, all[name])
		}
	}
	if labels := labelsOf(all["sunspool_build_info"].Metric[0]); labels["role"] != "edge" || labels["version"] != "unknown" || labels["goversion"] == "" {
		t.Errorf("%v", labels)
	}
}

func TestMoreCallersAtOnceAreTurnedAway(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	h := AtMost(2, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		in <- struct{}{}
		<-out
	}))
	answer := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Code
	}
	answers := make(chan int)
	for range 2 {
		go func() { answers <- answer() }()
		<-in
	}
	if code := answer(); code != 503 {
		t.Errorf("the third is answered %d", code)
	}
	close(out)
	for range 2 {
		if code := <-answers; code != 200 {
			t.Errorf("answered %d", code)
		}
	}
	go func() { <-in }()
	if code := answer(); code != 200 {
		t.Errorf("afterwards answered %d", code)
	}
}
