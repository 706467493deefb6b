package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/health"
)

var update = flag.Bool("update", false, "rewrite .env.example")

// pkg is what go list says of a package of ours.
type pkg struct {
	ImportPath, Dir, Name, Doc   string
	Imports                      []string
	GoFiles, TestGoFiles, XTests []string
	TestImports, XTestImports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// The house's walls: who may import whom.
func TestImportsPointOneWay(t *testing.T) {
	role := func(path string) string {
		for _, r := range []string{"edge", "vps"} {
			if path == "sunspool/"+r || strings.HasPrefix(path, "sunspool/"+r+"/") {
				return r
			}
		}
		return ""
	}
	alone := []string{"sunspool/wire", "sunspool/health", "sunspool/settings", "sunspool/packaging", "sunspool/internal/durable", "sunspool/edge/registers"}
	both := []string{"sunspool", "sunspool/demo", "sunspool/cli", "sunspool/cli/doctor", "sunspool/cli/setup", "sunspool/cli/check", "sunspool/cli/export"}
	const store = "sunspool/vps/store"
	inside := map[string][]string{ // what these import of ours, and no more: no store depends on another
		store:                        {"sunspool/vps/energy", "sunspool/wire"},
		store + "/rollup":            {store, "sunspool/vps/energy", "sunspool/wire"},
		store + "/fairqueue":         {store + "/rollup"},
		store + "/bolt":              {store, store + "/rollup", store + "/fairqueue", "sunspool/vps/energy", "sunspool/wire", "sunspool/health", "sunspool/internal/durable"},
		store + "/postgres":          {store, store + "/rollup", store + "/fairqueue", store + "/postgres/database", "sunspool/vps/energy", "sunspool/wire", "sunspool/health"},
		store + "/postgres/database": {store, "sunspool/wire", "sunspool/health"},
		store + "/redis":             {store, "sunspool/wire", "sunspool/health"},
		store + "/storetest":         {store, store + "/rollup", "sunspool/vps/energy", "sunspool/wire", "sunspool/internal/race"},
	}
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, "sunspool") {
				continue
			}
			if slices.Contains(alone, p.ImportPath) {
				t.Errorf("%s imports %s: it stands alone", p.ImportPath, imported)
			}
			if walls, ok := inside[p.ImportPath]; ok && !slices.Contains(walls, imported) {
				t.Errorf("%s imports %s, and may import %v", p.ImportPath, imported, walls)
			}
			if p.ImportPath == "sunspool/edge/witness" && imported != "sunspool/edge/registers" {
				t.Errorf("%s imports %s: what registers mean needs their map alone", p.ImportPath, imported)
			}
			if in, ours := "sunspool/edge/spool", "sunspool/edge"; strings.HasPrefix(p.ImportPath, in) && strings.HasPrefix(imported, ours) && !strings.HasPrefix(imported, in) {
				t.Errorf("%s imports %s: the spool needs nothing of the edge", p.ImportPath, imported)
			}
			tests := []string{"sunspool/internal/golden", "sunspool/internal/race", "sunspool/internal/testprogram", "sunspool/internal/testservices", "sunspool/internal/testhost", "sunspool/internal/vpstest", "sunspool/vps/store/storetest", "sunspool/edge/inverter/invertertest", "sunspool/edge/spool/spooltest", "sunspool/edge/upload/uploadtest"}
			if slices.Contains(tests, imported) && !slices.Contains(tests, p.ImportPath) {
				t.Errorf("%s imports %s: it is for tests only", p.ImportPath, imported)
			}
			if from, to := role(p.ImportPath), role(imported); from != "" && to != "" && from != to {
				t.Errorf("%s imports %s: what is left and right of the wire meets in wire/ only", p.ImportPath, imported)
			}
			if to := role(imported); to != "" && role(p.ImportPath) == "" && !slices.Contains(both, p.ImportPath) {
				t.Errorf("%s imports %s: only demo, cli and main see both roles", p.ImportPath, imported)
			}
		}
	}
}

// The packages of the server are layers: each may import those that are listed, of the server's own, and no others.
func TestServerIsLayers(t *testing.T) {
	below := map[string][]string{
		"auth": {}, "authority": {}, "problem": {}, "compress": {},
		"fair": {"auth"}, "live": {"auth"}, "listener": {"auth"},
		"batch": {"problem"}, "query": {"problem"},
		"request":    {"auth", "compress", "fair", "listener", "problem", "query"},
		"deviceinfo": {"auth", "batch", "problem", "query", "request"},
		"history":    {"deviceinfo", "fair", "listener", "problem", "query", "request", "tariff"},
		"progress":   {},
		"importer":   {"progress"},
		"storecopy":  {"progress"},
		"tariff":     {},
		"web":        {"compress"},
		"page":       {"auth", "problem", "request", "web"},
		"api":        {"auth", "batch", "compress", "deviceinfo", "fair", "history", "listener", "live", "page", "problem", "query", "request", "tariff", "web"},
	}
	for _, p := range packages(t) {
		allowed, layer := below[strings.TrimPrefix(p.ImportPath, "sunspool/vps/")]
		for _, imported := range p.Imports {
			name, ours := strings.CutPrefix(imported, "sunspool/vps/")
			if _, known := below[name]; layer && ours && known && !slices.Contains(allowed, name) {
				t.Errorf("%s imports %s: it belongs below or beside", p.ImportPath, imported)
			}
		}
	}
}

// The packages of the edge are layers, too: edge itself wires them together, and none of them imports it.
func TestEdgeIsLayers(t *testing.T) {
	below := map[string][]string{
		"registers": {}, "pace": {}, "spool": {}, "transport": {}, "donglelock": {}, "delivered": {}, "mdns": {}, "zone": {},
		"witness":  {"registers"},
		"night":    {},
		"inverter": {"pace", "registers", "witness"},
		"reading":  {"inverter", "registers", "witness"},
		"clock":    {"spool"},
		"token":    {"inverter"},
		"upload":   {"clock", "delivered", "pace", "spool", "token", "transport"},
		"config":   {"inverter", "pace", "registers", "spool", "token", "transport"},
		"pairing":  {"transport"},
		"probe":    {"donglelock", "inverter", "mdns", "pace", "reading", "registers", "witness"},
		"backlog":  {"delivered", "report", "spool", "spool/inspect", "spool/format"},
		"report":   {"clock", "config", "delivered", "inverter", "pace", "reading", "spool", "spool/inspect", "upload"},
	}
	for _, p := range packages(t) {
		allowed, layer := below[strings.TrimPrefix(p.ImportPath, "sunspool/edge/")]
		for _, imported := range p.Imports {
			name, ours := strings.CutPrefix(imported, "sunspool/edge/")
			if layer && (imported == "sunspool/edge" || ours && !strings.HasPrefix(name, strings.TrimPrefix(p.ImportPath, "sunspool/edge/")+"/") && !slices.Contains(allowed, name)) {
				t.Errorf("%s imports %s: it belongs below or beside", p.ImportPath, imported)
			}
		}
	}
}

// Each third-party module sits behind one place, so that replacing it is one change.
func TestModulesHaveOneDoor(t *testing.T) {
	doors := map[string][]string{
		"github.com/goburrow/modbus":             {"edge/inverter/"},
		"go.etcd.io/bbolt":                       {"edge/spool/", "vps/store/bolt/"},
		"github.com/go-json-experiment/json":     {"vps/batch/"},
		"github.com/VictoriaMetrics/metrics":     {"internal/metrics/"},
		"github.com/prometheus/common":           {"docs/reference/"},
		"golang.org/x/net":                       {"edge/mdns/"},
		"golang.org/x/tools":                     {"docs/reference/"},
		"github.com/spf13/cobra":                 {"main.go", "settings/", "cli/"},
		"github.com/spf13/pflag":                 {"settings/"},
		"golang.org/x/crypto/x509roots/fallback": {"internal/fallbackroots/"},
		"rsc.io/qr":                              {"internal/qrcode/"},
		"golang.org/x/term":                      {"demo/panel.go", "vps/progress/", "help.go"},
		"github.com/redis/rueidis":               {"vps/store/redis/"},
		"github.com/coreos/go-systemd":           {"systemd/"},
		"github.com/kardianos/service":           {"systemd/"},
		"go.yaml.in/yaml":                        {}, // tests alone
		"github.com/getkin/kin-openapi":          {}, // tests alone
	}
	eachFile(t, func(path string, imports []string) {
		for _, imported := range imports {
			for module, allowed := range doors {
				if imported != module && !strings.HasPrefix(imported, module+"/") {
					continue
				}
				if !slices.ContainsFunc(allowed, func(door string) bool { return strings.HasPrefix(path, door) }) {
					t.Errorf("%s imports %s, which belongs to %v", path, imported, allowed)
				}
			}
		}
	})
}

// eachFile calls f with the imports of every Go file that is not a test.
func eachFile(t *testing.T, f func(path string, imports []string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, i := range file.Imports {
			imports = append(imports, strings.Trim(i.Path.Value, `"`))
		}
		f(path, imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// The program only ever reads the inverter, verifies every certificate, and holds nothing of anybody's machine.
func TestWhatMustNotBeInTheCode(t *testing.T) {
	forbidden := map[string]*regexp.Regexp{
		"a Modbus write":                    regexp.MustCompile(`\.(WriteSingle|WriteMultiple|MaskWrite|ReadWrite)[A-Z]`),
		"a certificate that is not checked": regexp.MustCompile(`InsecureSkipVerify`),
		"a sync that is left out":           regexp.MustCompile(`NoSync:|NoGrowSync:|NoFreelistSync:|\.NoSync =`),
		"something left to do":              regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`),
	}
	eachFile(t, func(path string, _ []string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, re := range forbidden {
			if found := re.Find(text); found != nil {
				t.Errorf("%s has %s: %s", path, what, found)
			}
		}
	})
}

func TestEnvExampleIsWhatTheProgramPrints(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"env"}, &out, io.Discard); code != 0 {
		t.Fatalf("sunspool env exits %d", code)
	}
	if *update {
		if err := os.WriteFile(".env.example", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(".env.example")
	if err != nil || !bytes.Equal(have, out.Bytes()) {
		t.Errorf(".env.example is not what `sunspool env` prints (%v): go test . -run EnvExample -update", err)
	}
	for _, name := range []string{"SUNGROW_HOST", "VPS_BASE_URL", "VPS_DEVICE_TOKEN", "POLL_INTERVAL_S", "SPOOL_PATH", "DEVICE_TOKENS", "LISTEN_ADDR", "MAX_SAMPLES_PER_REQUEST"} {
		if !regexp.MustCompile(`(?m)^#` + name + `=`).Match(have) {
			t.Errorf(".env.example does not have %s", name)
		}
	}
}

func TestCommandsAboutServicesAnswer(t *testing.T) {
	for _, name := range []string{"SUNGROW_HOST", "VPS_BASE_URL", "VPS_DEVICE_TOKEN", "DEVICE_TOKENS", "SPOOL_PATH"} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "spool.db")
	for _, c := range []struct {
		args string
		exit int
		says string
	}{
		{"check edge", health.ExitConfig, "SUNGROW_HOST is missing"},
		{"check vps", health.ExitConfig, "DEVICE_TOKENS has no entry"},
		{"spool count " + none, 1, none},
		{"service status vps", health.ExitUnhealthy, "sunspool-vps"},
		{"service dance vps", health.ExitUsage, "install"},
	} {
		var out, errs bytes.Buffer
		if exit := run(t.Context(), strings.Fields(c.args), &out, &errs); exit != c.exit || !strings.Contains(errs.String(), c.says) {
			t.Errorf("sunspool %s exits %d, want %d, and says %q", c.args, exit, c.exit, errs.String())
		}
	}
	t.Setenv("DEVICE_TOKENS", "0123456789abcdef0123456789abcdef:roof")
	t.Setenv("DEVICE_TOKNES_FILE", "/x")
	var out bytes.Buffer
	if exit := run(t.Context(), []string{"check", "vps"}, &out, io.Discard); exit != 0 || !strings.Contains(out.String(), "can be used") ||
		!strings.Contains(out.String(), "note: DEVICE_TOKNES_FILE is not a setting of sunspool: DEVICE_TOKENS_FILE?") {
		t.Errorf("good settings: exit %d, %q", exit, out.String())
	}
	prices := filepath.Join(t.TempDir(), "tariff.json")
	if err := os.WriteFile(prices, []byte("{\n\"currency\": \"EUR\",\n\"prices\": [{\"from\": \"2026-01-01\"}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TARIFF_FILE", prices)
	var errs bytes.Buffer
	if exit := run(t.Context(), []string{"check", "vps"}, io.Discard, &errs); exit != health.ExitConfig || !strings.Contains(errs.String(), "line 3: import is missing") {
		t.Errorf("a wrong tariff: exit %d, %q", exit, errs.String())
	}
}

// What a HEALTHCHECK calls: 0 or 1, and one line that says why.
func TestHealthCommandIsOneLineAndZeroOrOne(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SPOOL_PATH", filepath.Join(dir, "spool.db"))
	for name, c := range map[string]struct {
		file, role string
		exit       int
		want       string
	}{
		"edge works":      {`{"status":"ok","sentence":"all well","written_ts":"` + time.Now().Format(time.RFC3339) + `"}`, "edge", 0, "all well"},
		"edge is gone":    {`{"status":"ok","sentence":"all well","written_ts":"2026-01-02T03:04:05Z"}`, "edge", 1, "ago"},
		"vps is not here": {"", "vps", 1, "127.0.0.1:1"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "health.json"), []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("LISTEN_ADDR", "127.0.0.1:1")
		var out bytes.Buffer
		code := run(t.Context(), []string{"health", c.role}, &out, &out)
		if code != c.exit || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: exit status %d\n%s", name, code, out.String())
		}
	}
}

// Wrong input: one clear error, the right exit status, no stack trace, no secret.
func TestWrongInputIsOneClearError(t *testing.T) {
	t.Setenv("VPS_DEVICE_TOKEN", "canary-7f3k-0123456789")
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		exit int
		want []string
	}{
		"no settings":     {[]string{"edge"}, nil, 3, []string{"SUNGROW_HOST", "VPS_BASE_URL", "next:"}},
		"plain http":      {[]string{"edge"}, map[string]string{"SUNGROW_HOST": "192.0.2.7", "VPS_BASE_URL": "http://example.org"}, 3, []string{"must be https"}},
		"all at once":     {[]string{"edge"}, map[string]string{"SUNGROW_HOST": "192.0.2.7", "VPS_BASE_URL": "https://example.org", "POLL_INTERVAL_S": "1", "SUNGROW_SLAVE_ID": "300", "BATCH_SIZE": "0"}, 3, []string{"POLL_INTERVAL_S is 1", "SUNGROW_SLAVE_ID is 300", "BATCH_SIZE is 0"}},
		"not a number":    {[]string{"edge"}, map[string]string{"POLL_INTERVAL_S": "soon"}, 3, []string{`POLL_INTERVAL_S is "soon"`, "SUNGROW_HOST is missing"}},
		"all types":       {[]string{"edge"}, map[string]string{"BATCH_SIZE": "abc", "POLL_INTERVAL_S": "5s", "RAW_DEBUG_ENABLED": "maybe", "LOG_LEVEL": "loud", "CLOCK_TRUST": "never", "VPS_BASE_URL": "http://x"}, 3, []string{"BATCH_SIZE", "POLL_INTERVAL_S", "RAW_DEBUG_ENABLED", "LOG_LEVEL", "CLOCK_TRUST", "SUNGROW_HOST", "must be https"}},
		"types of vps":    {[]string{"vps"}, map[string]string{"MAX_REQUEST_BYTES": "1k", "CACHE_TTL_S": "5s", "DEVICE_TOKENS": "short:roof"}, 3, []string{"MAX_REQUEST_BYTES", "CACHE_TTL_S", "DEVICE_TOKENS entry 1"}},
		"misspelt":        {[]string{"edge"}, map[string]string{"SUNGROW_HSOT": "192.0.2.7"}, 3, []string{"SUNGROW_HSOT is set, which is not a setting: SUNGROW_HOST?"}},
		"misspelt of vps": {[]string{"vps"}, map[string]string{"DEVICE_TOKEN": "canary-7f3k-0123456789:roof"}, 3, []string{"DEVICE_TOKEN is set", "DEVICE_TOKENS?"}},
		"type of health":  {[]string{"health", "edge"}, map[string]string{"POLL_INTERVAL_S": "soon"}, 2, []string{"POLL_INTERVAL_S"}},
		"secret as flag":  {[]string{"edge", "--vps-device-token=hunter2"}, nil, 3, []string{"not taken from the command line"}},
		"unknown command": {[]string{"edgy"}, nil, 2, []string{"edge"}},
		"unknown flag":    {[]string{"demo", "--lsten=x"}, nil, 2, []string{"--listen"}},
		"demo for all":    {[]string{"demo", "--listen=0.0.0.0:1"}, nil, 2, []string{"loopback"}},
		"no tokens":       {[]string{"vps", "--data-dir=" + t.TempDir()}, nil, 3, []string{"DEVICE_TOKENS"}},
		"bad image":       {[]string{"simulate", "--image=nope"}, nil, 2, []string{"real-sh15t-evening-discharging"}},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			var out, errs bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // whatever starts in spite of it ends at once
			code := run(ctx, c.args, &out, &errs)
			if c.exit != 0 && code != c.exit || code == 0 {
				t.Errorf("exit status %d, want %d", code, c.exit)
			}
			text := errs.String()
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("the error does not have %q:\n%s", want, text)
				}
			}
			for _, bad := range []string{"canary-7f3k", "hunter2", "goroutine "} {
				if strings.Contains(text, bad) {
					t.Errorf("the error has %q:\n%s", bad, text)
				}
			}
			if strings.Count(text, "error:") != 1 {
				t.Errorf("not one error:\n%s", text)
			}
		})
	}
}
