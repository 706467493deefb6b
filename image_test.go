package main

import (
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// compose is what the tests look at in a compose file.
type compose struct {
	Services map[string]service
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]any
}

type service struct {
	Image string
	Build *struct {
		Context, Target string
		Args            map[string]string
	}
	Command     []string
	Environment map[string]string
	Ports       []string
	Expose      []string
	Volumes     []string
	Networks    []string
	NetworkMode string `yaml:"network_mode"`
	Restart     string
	Privileged  bool
	ReadOnly    bool     `yaml:"read_only"`
	SecurityOpt []string `yaml:"security_opt"`
	CapAdd      []string `yaml:"cap_add"`
	MemLimit    string   `yaml:"mem_limit"`
	DependsOn   any      `yaml:"depends_on"`
	Healthcheck struct {
		Test    []string
		Disable bool
	}
}

var composeFiles = []string{"vps/docker-compose.yml", "edge/docker-compose.yml"}

func readCompose(t *testing.T, path string) (c compose) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(c.Services) == 0 {
		t.Fatalf("%s has no services", path)
	}
	return c
}

func TestEveryContainerComesBackIsCheckedAndConfined(t *testing.T) {
	for _, path := range composeFiles {
		c := readCompose(t, path)
		for name, s := range c.Services {
			if s.Restart != "unless-stopped" || s.MemLimit == "" {
				t.Errorf("%s: %s: restart %q, memory limit %q", path, name, s.Restart, s.MemLimit)
			}
			if len(s.Healthcheck.Test) < 2 || s.Healthcheck.Test[0] != "CMD" || s.Healthcheck.Disable {
				t.Errorf("%s: %s: no health check: %q", path, name, s.Healthcheck.Test)
			}
			if !s.ReadOnly || s.Privileged || s.NetworkMode != "" || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") ||
				len(s.CapAdd) > 0 && !slices.Equal(s.CapAdd, []string{"NET_BIND_SERVICE"}) {
				t.Errorf("%s: %s may do more than it needs: %+v", path, name, s)
			}
			if s.DependsOn != nil {
				t.Errorf("%s: %s waits for %v: each copes with what is away", path, name, s.DependsOn)
			}
			for _, v := range s.Volumes {
				from, _, _ := strings.Cut(v, ":")
				if _, named := c.Volumes[from]; !named && !strings.HasSuffix(v, ":ro") {
					t.Errorf("%s: %s can write to the host's %s", path, name, from)
				}
			}
		}
	}
}

// The database and the cache are for the api alone, and nobody but Caddy has a port of the host.
func TestOnlyCaddyIsPublished(t *testing.T) {
	c := readCompose(t, "vps/docker-compose.yml")
	if names := slices.Sorted(maps.Keys(c.Services)); !slices.Equal(names, []string{"api", "caddy", "postgres", "redis"}) {
		t.Fatalf("services %v", names)
	}
	for name, s := range c.Services {
		if (len(s.Ports) > 0) != (name == "caddy") {
			t.Errorf("%s publishes %v", name, s.Ports)
		}
		for _, n := range s.Networks {
			network, known := c.Networks[n]
			if !known || !network.Internal && name != "caddy" {
				t.Errorf("%s is on %s, from which the internet is reachable", name, n)
			}
		}
	}
	for name, want := range map[string][]string{"postgres": {"back"}, "redis": {"back"}, "api": {"front", "back"}, "caddy": {"outside", "front"}} {
		if got := c.Services[name].Networks; !slices.Equal(got, want) {
			t.Errorf("%s is on the networks %v, want %v", name, got, want)
		}
	}
	redis := strings.Join(c.Services["redis"].Command, " ")
	for _, want := range []string{"--save  --appendonly no", "--maxmemory ", "--maxmemory-policy allkeys-lru"} {
		if !strings.Contains(redis, want) {
			t.Errorf("redis is not a cache: %q has no %q", redis, want)
		}
	}
	if got := c.Services["api"].Environment["TRUSTED_PROXIES"]; got != "${FRONT_SUBNET:-172.31.87.0/24}" {
		t.Errorf("the api believes %s", got)
	}
}

// Every variable of a compose file is explained in the .env.example beside it, what is required stands there to be
// filled in, and what a container of ours is given is a setting that the program has.
func TestComposeAndItsExampleAgree(t *testing.T) {
	var settings bytes.Buffer
	if code := run(t.Context(), []string{"env"}, &settings, io.Discard); code != 0 {
		t.Fatalf("sunspool env exits %d", code)
	}
	for _, path := range composeFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		example, err := os.ReadFile(filepath.Join(filepath.Dir(path), ".env.example"))
		if err != nil {
			t.Fatal(err)
		}
		asked := map[string]bool{} // by name, whether it is required
		for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)(:[?-][^}]*)?\}`).FindAllStringSubmatch(string(text), -1) {
			if m[2] == "" || m[2] == ":?" {
				t.Errorf("%s: ${%s} has neither a default nor a word about what to set", path, m[1])
			}
			asked[m[1]] = strings.HasPrefix(m[2], ":?")
		}
		explained := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^(#?)([A-Z_]+)=`).FindAllStringSubmatch(string(example), -1) {
			explained[m[2]] = m[1] == ""
		}
		delete(explained, "COMPOSE_FILE") // Docker Compose's own
		if !maps.Equal(asked, explained) {
			t.Errorf("%s asks for (true: required) %v, its .env.example has %v", path, asked, explained)
		}
		for name, s := range readCompose(t, path).Services {
			for variable := range s.Environment {
				ours := strings.Contains(s.Image, "/sunspool-") && variable != "GOMEMLIMIT" && variable != "TZ"
				if ours && !regexp.MustCompile(`(?m)^#`+variable+`=`).MatchString(settings.String()) {
					t.Errorf("%s: %s is given %s, which is no setting of the program", path, name, variable)
				}
			}
		}
	}
}

// The image is a release's, whose name and version can be set; who has the code builds it, with a version that is not
// "devel" if one is given, by the override that Docker Compose reads by itself.
func TestComposeTakesAReleaseOrBuilds(t *testing.T) {
	for path, service := range map[string]string{"vps/docker-compose.yml": "api", "edge/docker-compose.yml": "edge"} {
		role := filepath.Dir(path)
		shipped := readCompose(t, path).Services[service]
		if want := "${IMAGES:-localhost}/sunspool-" + role + ":${VERSION:-devel}"; shipped.Image != want || shipped.Build != nil {
			t.Errorf("%s: %s is the image %q, want %q, built by %+v", path, service, shipped.Image, want, shipped.Build)
		}
		override := readCompose(t, role+"/docker-compose.override.yml")
		built := override.Services[service]
		if len(override.Services) != 1 || built.Image != "" || built.Build == nil || built.Build.Context != ".." || built.Build.Target != role ||
			built.Build.Args["VERSION"] != "${VERSION:-devel}" {
			t.Errorf("the override of %s: %+v", path, override)
		}
	}
	if dockerfile := string(must(os.ReadFile("Dockerfile"))); !regexp.MustCompile(`ARG VERSION=devel\nRUN [^\n]*\\\n[^\n]* -X main\.version=\$VERSION`).MatchString(dockerfile) {
		t.Error("the build does not give VERSION to the program")
	}
	for name, s := range readCompose(t, "vps/docker-compose.yml").Services {
		if !regexp.MustCompile(`^\$\{[A-Z]+(_IMAGE)?:-`).MatchString(s.Image) {
			t.Errorf("the image of %s, %s, cannot be pinned by its digest in .env", name, s.Image)
		}
	}
}

// What an operator may want to set of the server can be set in .env. Beyond the limit of a request nothing comes as far as
// the server, so Caddy has it from the same place.
func TestComposePassesTheServersSettings(t *testing.T) {
	c := readCompose(t, "vps/docker-compose.yml")
	for _, name := range []string{"DEVICE_TOKENS", "DEVICE_TOKENS_FILE", "VIEWER_TOKENS", "VIEWER_TOKENS_FILE", "INTERNAL_ADDR", "RAW_RETENTION_DAYS",
		"CACHE_TTL_S", "MAX_SAMPLES_PER_REQUEST", "MAX_REQUEST_BYTES", "SITE_TZ", "CORS_ALLOW_ORIGINS", "WEB_AUTH", "FRAME_ANCESTORS", "TARIFF_FILE", "LOG_LEVEL"} {
		if value := c.Services["api"].Environment[name]; !strings.HasPrefix(value, "${"+name+":") {
			t.Errorf("%s is %q", name, value)
		}
	}
	if api, caddy := c.Services["api"].Environment["MAX_REQUEST_BYTES"], c.Services["caddy"].Environment["MAX_REQUEST_BYTES"]; api != caddy {
		t.Errorf("a request may have %s at the server, %s at Caddy", api, caddy)
	}
	// Where .env says nothing, all is as the program has it.
	var printed bytes.Buffer
	run(t.Context(), []string{"env", "vps"}, &printed, io.Discard)
	for name, value := range c.Services["api"].Environment {
		m := regexp.MustCompile(`^\$\{` + name + `:-([^}]*)\}$`).FindStringSubmatch(value)
		if m != nil && !regexp.MustCompile(`(?m)^#`+name+`=`+regexp.QuoteMeta(m[1])+`$`).Match(printed.Bytes()) {
			t.Errorf("%s has the default %q, which is not the program's", name, m[1])
		}
	}
}

// A file with tokens and passwords is nobody else's to read, from its first moment on.
func TestEnvFilesAreMadePrivate(t *testing.T) {
	told := 0
	for _, path := range []string{"README.md", "docs/install.md", "vps/docker-compose.yml", "edge/docker-compose.yml", "vps/.env.example", "edge/.env.example"} {
		text := string(must(os.ReadFile(path)))
		if strings.Contains(text, "cp .env.example") {
			t.Errorf("%s has .env made for all to read", path)
		}
		told += strings.Count(text, "install -m 0600 .env.example .env")
	}
	if told != 6 {
		t.Errorf("how .env is made stands in %d places", told)
	}
	install := exec.CommandContext(t.Context(), "install", "-m", "0600", ".env.example", filepath.Join(t.TempDir(), ".env"))
	install.Dir = "vps"
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if info := must(os.Stat(install.Args[4])); info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
}

// With Docker Compose at hand it is asked itself: it takes the file once the required values are set, and says what to
// set while they are not.
func TestComposeItselfTakesTheFiles(t *testing.T) {
	tool := composeTool()
	if tool == nil {
		t.Skip("SKIPPED: no docker compose here; the tests beside this one have looked at the same files")
	}
	for path, required := range map[string][]string{
		"vps/docker-compose.yml":  {"SITE_ADDRESS", "POSTGRES_PASSWORD", "DEVICE_TOKENS"},
		"edge/docker-compose.yml": {"SUNGROW_HOST", "DEVICE_ID", "VPS_BASE_URL", "VPS_DEVICE_TOKEN"},
	} {
		config := func(without string) (string, error) {
			cmd := exec.CommandContext(t.Context(), tool[0], append(tool[1:], "--env-file", os.DevNull, "-f", path, "config", "--quiet")...)
			for _, name := range required {
				if name != without {
					cmd.Env = append(cmd.Env, name+"=x")
				}
			}
			for _, name := range []string{"PATH", "HOME", "DOCKER_CONFIG"} { // with none but these, nothing else is set
				if value, ok := os.LookupEnv(name); ok {
					cmd.Env = append(cmd.Env, name+"="+value)
				}
			}
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		if out, err := config(""); err != nil || out != "" {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
		for _, name := range required {
			if out, err := config(name); err == nil || !strings.Contains(out, name) || !strings.Contains(out, "set it in ") {
				t.Errorf("%s without %s: %v %q", path, name, err, out)
			}
		}
	}
}

func composeTool() []string {
	if exec.Command("docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	// Version 1, of years ago, does not know the name of a project in its file.
	if out, err := exec.Command("docker-compose", "version", "--short").Output(); err == nil && !bytes.HasPrefix(out, []byte("1.")) {
		return []string{"docker-compose"}
	}
	return nil
}

func TestImageHoldsTheProgramAndNothingElse(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := map[string][]string{} // the instructions of each, with those of what it is made from
	stage := ""
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if from, ok := strings.CutPrefix(line, "FROM "); ok {
			field := strings.Fields(from)
			stage = field[len(field)-1]
			stages[stage] = append([]string{"FROM " + field[0]}, stages[field[0]]...)
		} else if stage != "" && line != "" {
			stages[stage] = append(stages[stage], line)
		}
	}
	for role, check := range map[string]string{"edge": `CMD ["/sunspool", "health", "edge"]`, "vps": `CMD ["/sunspool", "health", "vps"]`} {
		all := strings.Join(stages[role], "\n")
		for _, want := range []string{
			"FROM scratch", "USER 65532:65532", "STOPSIGNAL SIGTERM", "VOLUME /data", "--chown=65532:65532 --chmod=0700 /image/ /",
			`ENTRYPOINT ["/sunspool"]`, "\nCMD [\"" + role + "\"]", check,
		} {
			if !strings.Contains(all, want) {
				t.Errorf("the image of %s has no %q:\n%s", role, want, all)
			}
		}
		if strings.Contains(all, "\nRUN ") || strings.Count(all, "\nCOPY ") != 2 {
			t.Errorf("the image of %s holds more than the program:\n%s", role, all)
		}
	}
	if strings.HasPrefix(string(text), "# syntax=") {
		t.Error("a syntax line makes a build depend on a registry")
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(must(os.ReadFile("go.mod")))[1]
	if !strings.Contains(string(text), "golang:"+string(version)+" ") {
		t.Errorf("the image is built with another Go than %s of go.mod", version)
	}
	ignored := string(must(os.ReadFile(".dockerignore")))
	for _, unwanted := range []string{"**/.env", ".git", "**/*.db", "**/node_modules"} {
		if !slices.Contains(strings.Split(ignored, "\n"), unwanted) {
			t.Errorf("%s gets into the build", unwanted)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
