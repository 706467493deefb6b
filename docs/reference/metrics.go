package reference

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"sunspool/internal/metrics"
)

// Metrics holds a section of docs/metrics.md to what set shows, as a parser of Prometheus reads it, and the names to the
// conventions of Prometheus, by its own promtool, which is at the path that is given. Each family must have a value, so
// whoever made set has let something of each kind happen.
func Metrics(t testing.TB, section, promtool string, set *metrics.Set) {
	t.Helper()
	var text bytes.Buffer
	set.Write(&text)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s", err, &text)
	}
	var table strings.Builder
	table.WriteString("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if f := families[name]; strings.HasPrefix(name, "sunspool_") {
			fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), unitOf(name), labelsOf(f), f.GetHelp())
			if _, described := set.Families()[name]; !described {
				t.Errorf("%s is shown and not described", name)
			}
		}
	}
	for name := range set.Families() {
		if families[name] == nil {
			t.Errorf("%s is described and has no value here: let the test make one, so that docs/metrics.md has it", name)
		}
	}
	Section(t, "metrics.md", section, table.String())
	lint(t, promtool, ours(text.String()))
}

// ours is what text has of families of ours. Those of the library do not all have names as promtool wants them.
func ours(text string) *strings.Reader {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "); strings.HasPrefix(name, "sunspool_") {
			lines.WriteString(line)
		}
	}
	return strings.NewReader(lines.String())
}

// lint has promtool look at metrics.
func lint(t testing.TB, promtool string, text io.Reader) {
	t.Helper()
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = text
	if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
}

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
