package packaging

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sunspool/internal/testservices"
)

// alerts reads the rules that we ship: the name of each alert, and when it fires.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			all[rule.Alert] = rule.Expr
		}
	}
	return all
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	if said, err := exec.CommandContext(t.Context(), testservices.Need(t, "prometheus", "promtool"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

// Each alert is one that Prometheus takes, and fires when it should and not when all is well: testdata.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yml")
	var tests []byte
	for _, file := range []string{"testdata/alerts.yml", "testdata/alerts-long.yml"} {
		promtool(t, "test", "rules", file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests = append(tests, text...)
	}
	for name := range alerts(t) {
		if !strings.Contains(string(tests), "  - name: "+name+"\n") || !strings.Contains(string(tests), `{alertname="`+name+`"}`) {
			t.Errorf("%s has no test in testdata", name)
		}
	}
}

// metricRow is a line of a table in docs/metrics.md.
var metricRow = regexp.MustCompile("(?m)^\\| `(sunspool_[a-z_]+)` \\| ([a-z]+) \\| [^|]* \\| ([^|]*) \\|")

// An alert names metrics that there are, with labels that they have.
func TestAlertsNameMetricsThatExist(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{}
	for _, row := range metricRow.FindAllStringSubmatch(string(page), -1) {
		labels[row[1]] += row[3]
		if row[2] == "histogram" {
			for _, of := range []string{"_bucket", "_count", "_sum"} {
				labels[row[1]+of] = row[3] + "`le`"
			}
		}
	}
	named := regexp.MustCompile(`(sunspool_[a-z_]+)(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`([a-z_]+) *(?:=|!)`)
	for name, expr := range alerts(t) {
		metrics := named.FindAllStringSubmatch(expr, -1)
		if metrics == nil && !strings.HasPrefix(expr, "up{") {
			t.Errorf("%s names no metric of ours", name)
		}
		for _, m := range metrics {
			has, ok := labels[m[1]]
			if !ok {
				t.Errorf("%s names %s, which is not in docs/metrics.md", name, m[1])
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if ok && !strings.Contains(has, "`"+l[1]+"`") {
					t.Errorf("%s: %s has no label %s", name, m[1], l[1])
				}
			}
		}
	}
}

// The configuration in docs/monitoring.md is one that Prometheus takes, and the alerts it has are in the table there.
func TestScrapeConfigurationOfTheDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	_, config, _ := strings.Cut(string(page), "```yaml\nrule_files:")
	config, _, found := strings.Cut(config, "```")
	if !found {
		t.Fatal("docs/monitoring.md has no configuration of Prometheus")
	}
	path := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(path, []byte("rule_files:"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "config", "--syntax-only", path)
	for _, name := range slices.Sorted(maps.Keys(alerts(t))) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/monitoring.md does not have %s", name)
		}
	}
}
