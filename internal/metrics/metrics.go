// Package metrics shows numbers in Prometheus' text format: those that are counted as things happen, and those that are read
// when somebody asks.
//
//	Counters, Durations ──> kept ──┐
//	Show ──> Values of one scrape ─┼──> text ──> GET /metrics
//	go_*, process_* ───────────────┘
//
// The library behind it takes a name with its labels as one string, and has no texts for HELP. Here are families of metrics,
// which have both. The client library of Prometheus would be a tenth of the program, and 5 MB of an edge's memory.
package metrics

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
)

// Family is a metric, whatever the values of its labels. If its name ends in _total it is a counter, else a gauge.
type Family struct {
	Name, Help string
	Labels     []string
}

const counterSuffix = "_total"

// IsCounter reports whether f is a counter.
func (f Family) IsCounter() bool { return strings.HasSuffix(f.Name, counterSuffix) }

var (
	escape     = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	escapeHelp = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)

// with is the name of f with the values of its labels, as it is in the text: the labels in order of their names.
func (f Family) with(values []string) string {
	if len(values) != len(f.Labels) {
		panic(f.Name + " has " + strconv.Itoa(len(f.Labels)) + " labels, not " + strconv.Itoa(len(values)))
	}
	if len(values) == 0 {
		return f.Name
	}
	pairs := make([]string, len(values))
	for i, label := range f.Labels {
		pairs[i] = label + `="` + escape.Replace(strings.ToValidUTF8(values[i], "\uFFFD")) + `"`
	}
	slices.Sort(pairs)
	return f.Name + "{" + strings.Join(pairs, ",") + "}"
}

// Set is what one address shows.
type Set struct {
	kept     *metrics.Set
	families map[string]Family // by name
	show     []func(*Values)
	process  bool
}

// NewSet returns a Set that shows nothing.
func NewSet() *Set {
	metrics.ExposeMetadata(true)
	return &Set{kept: metrics.NewSet(), families: map[string]Family{}}
}

// Families returns what s shows, by name. The families of the library are not among them.
func (s *Set) Families() map[string]Family { return s.families }

func (s *Set) add(families ...Family) {
	for _, f := range families {
		s.families[f.Name] = f
	}
}

// Counters are the counters of a family.
type Counters struct {
	family Family
	in     *metrics.Set
}

// Counters returns the counters of f, which s shows.
func (s *Set) Counters(f Family) Counters {
	s.add(f)
	return Counters{f, s.kept}
}

// With returns the counter whose labels have these values, which is shown from now on.
func (c Counters) With(values ...string) *metrics.Counter {
	return c.in.GetOrCreateCounter(c.family.with(values))
}

// Durations are the histograms of a family, in seconds.
type Durations struct {
	family  Family
	in      *metrics.Set
	buckets []float64
}

// Durations returns the histograms of f, which s shows. A bucket has what took at most so many seconds.
func (s *Set) Durations(f Family, buckets ...float64) Durations {
	s.add(f)
	return Durations{f, s.kept, buckets}
}

// With returns the histogram whose labels have these values, which is shown from now on.
func (d Durations) With(values ...string) *metrics.PrometheusHistogram {
	return d.in.GetOrCreatePrometheusHistogramExt(d.family.with(values), d.buckets)
}

// Show has show give the values of these families at each scrape. It is called by several goroutines at once.
func (s *Set) Show(show func(*Values), families ...Family) {
	s.add(families...)
	s.show = append(s.show, show)
}

// ShowOne has s show a family without labels.
func (s *Set) ShowOne(f Family, value func() float64) {
	s.Show(func(v *Values) { v.Add(f, value()) }, f)
}

// ShowProcess has s show what every role does: the Go runtime, the process, and which build it is.
func (s *Set) ShowProcess(role, version string) {
	s.process = true
	f := Family{"sunspool_build_info", "Always 1: role is edge or vps, goversion the version of Go that built the program.", []string{"role", "version", "goversion"}}
	s.Show(func(v *Values) { v.Add(f, 1, role, cmp.Or(version, "unknown"), runtime.Version()) }, f)
}

// Values are those of one scrape: the lines of each family, which must stay together.
type Values struct {
	of    map[string]*bytes.Buffer // by the name of the family
	names []string                 // in the order of their first values
}

// Add gives a value of f. No two have the same labels.
func (v *Values) Add(f Family, value float64, labels ...string) {
	lines := v.of[f.Name]
	if lines == nil {
		kind := "gauge"
		if f.IsCounter() {
			kind = "counter"
		}
		lines = new(bytes.Buffer)
		metrics.WriteMetadataIfNeeded(lines, f.Name, kind)
		v.of[f.Name], v.names = lines, append(v.names, f.Name)
	}
	lines.WriteString(f.with(labels))
	lines.Write(strconv.AppendFloat([]byte{' '}, value, 'g', -1, 64))
	lines.WriteByte('\n')
}

// Write writes all that s shows.
func (s *Set) Write(w io.Writer) {
	var kept, process bytes.Buffer
	s.kept.WritePrometheus(&kept)
	if s.process {
		metrics.WriteGoMetrics(&process)
		metrics.WriteProcMetrics(&process)
		metrics.WriteFDMetrics(&process)
	}
	now := Values{of: map[string]*bytes.Buffer{}}
	for _, show := range s.show {
		show(&now)
	}
	s.writeHelped(w, kept.Bytes())
	for _, name := range now.names {
		s.writeHelped(w, now.of[name].Bytes())
	}
	s.writeHelped(w, process.Bytes())
}

// writeHelped writes text with our HELP in place of the library's, which are empty.
func (s *Set) writeHelped(w io.Writer, text []byte) {
	const help = "# HELP "
	for len(text) > 0 {
		if !bytes.HasPrefix(text, []byte(help)) { // all lines until the next one that is
			n := bytes.Index(text, []byte("\n"+help)) + 1
			if n == 0 {
				n = len(text)
			}
			w.Write(text[:n])
			text = text[n:]
			continue
		}
		name, rest, _ := bytes.Cut(text[len(help):], []byte("\n"))
		if f, ours := s.families[string(name)]; ours {
			io.WriteString(w, help+f.Name+" "+escapeHelp.Replace(f.Help)+"\n")
		}
		text = rest
	}
}

// ServeHTTP answers a scrape.
func (s *Set) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s.Write(w)
}

// AtMost serves so many callers at once, and tells the others to come again.
func AtMost(most int64, next http.Handler) http.Handler {
	var serving atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer serving.Add(-1)
		if serving.Add(1) > most {
			http.Error(w, "too many callers at once, try again", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}
