package packaging

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/internal/testservices"
)

var withCompose = flag.Bool("compose", false, "bring both compose files up whole in a Docker engine (9 min)")

const front = "https://localhost" // Caddy, seen from the network of TestCompose

// TestCompose brings vps/docker-compose.yml up as it is, with an edge from edge/docker-compose.yml and a simulated
// inverter, all through Caddy. The images of ours are built by the whole Dockerfile. Those of others cannot be had
// without their registry: their places are taken by the same services of Debian.
func TestCompose(t *testing.T) {
	if !*withCompose {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this takes a Docker engine and minutes: make test-compose")
	}
	e := startEngine(t)
	e.standIns()

	vps := e.stack("../vps/docker-compose.yml", map[string]string{
		"SITE_ADDRESS": "localhost, sunspool.localhost", "POSTGRES_PASSWORD": "0123456789abcdef",
		"DEVICE_TOKENS": token("meter") + ":meter," + token("load") + ":load," + token("roof") + ":roof", "VERSION": "1.2.3",
	}, override("../vps"))
	vps.compose("build", "--quiet")
	vps.compose("up", "--detach", "--wait", "--wait-timeout", "180")

	authority := filepath.Join(e.dir, "authority.crt")
	if err := os.WriteFile(authority, must(os.ReadFile(filepath.Join(e.volume("sunspool_caddy-data"), "caddy/pki/authorities/local/root.crt"))), 0o644); err != nil {
		t.Fatal(err)
	}
	client := e.client(authority)
	home := e.stack("../edge/docker-compose.yml", map[string]string{
		"SUNGROW_HOST": "inverter", "SUNGROW_PORT": "5020", "DEVICE_ID": "roof",
		"VPS_BASE_URL": "https://sunspool.localhost", "VPS_DEVICE_TOKEN": token("roof"), "VERSION": "1.2.3",
	}, override("../edge"), `
services:
  edge:
    environment: { VPS_CA_FILE: /authority.crt, CLOCK_TRUST: always }
    volumes: ["`+authority+`:/authority.crt:ro"]
    extra_hosts: ["sunspool.localhost:host-gateway"]
  inverter:
    image: localhost/sunspool-edge:1.2.3
    command: ["simulate", "--listen", "0.0.0.0:5020"]
`)
	home.compose("build", "--quiet", "edge")
	home.compose("up", "--detach")
	t.Logf("the edge starts; its check is as it is shipped")

	claim := func(name string, holds func(*testing.T, *engine)) bool {
		return t.Run(name, func(t *testing.T) { holds(t, e.of(t)) })
	}
	for _, service := range []string{"api", "postgres", "redis", "caddy"} {
		claim(service+" is healthy", func(t *testing.T, e *engine) { e.awaitHealth(vps.container(service), "healthy") })
	}
	claim("an ingest through Caddy is answered to readers", func(t *testing.T, e *engine) { ingest(t, e, client) })
	claim("what is private is not found through Caddy", func(t *testing.T, e *engine) { private(t, client) })
	claim("the edge delivers through Caddy", func(t *testing.T, e *engine) { e.awaitSamples(client, front, "roof", 1) })
	claim("restarts under load lose nothing", func(t *testing.T, e *engine) { restarts(t, vps.of(t), client) })
	claim("down and up keeps what was stored, and the edge what was not", func(t *testing.T, e *engine) { downAndUp(t, vps.of(t), home.of(t), client) })
	claim("a standstill is noticed within two intervals", func(t *testing.T, e *engine) {
		edge := home.container("edge")
		e.awaitHealth(edge, "healthy")
		e.docker("kill", "--signal", "STOP", edge)
		t.Logf("unhealthy %v after the stop", e.awaitHealth(edge, "unhealthy").Round(time.Second)) // two intervals, as shipped, are Patience
		e.docker("kill", "--signal", "CONT", edge)
		t.Logf("healthy %v after it goes on", e.awaitHealth(edge, "healthy").Round(time.Second))
	})
}

// override is what builds the image of a folder's compose file.
func override(folder string) string {
	return string(must(os.ReadFile(filepath.Join(folder, "docker-compose.override.yml"))))
}

// stack is a compose file that is brought up in an engine, with settings instead of the .env beside it.
type stack struct {
	*engine
	args []string
}

// stack makes one of a file, and of further ones given by their text.
func (e *engine) stack(file string, settings map[string]string, more ...string) stack {
	e.t.Helper()
	dir := must(os.MkdirTemp(e.dir, "stack-"))
	var env strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&env, "%s=%s\n", name, value)
	}
	set := filepath.Join(dir, "env")
	if err := os.WriteFile(set, []byte(env.String()), 0o600); err != nil {
		e.t.Fatal(err)
	}
	s := stack{e, []string{"compose", "--ansi", "never", "--env-file", set, "--file", must(filepath.Abs(file))}}
	for i, text := range more {
		path := filepath.Join(dir, fmt.Sprint("more-", i, ".yml"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			e.t.Fatal(err)
		}
		s.args = append(s.args, "--file", path)
	}
	t := e.t
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := e.command(append(s.args, "logs", "--tail", "20")...).CombinedOutput()
			t.Logf("%s: the services said last:\n%s", file, out)
		}
	})
	return s
}

// of is the same stack for a part of the test.
func (s stack) of(t testing.TB) stack { return stack{s.engine.of(t), s.args} }

// compose runs docker compose with args.
func (s stack) compose(args ...string) string {
	s.t.Helper()
	return s.docker(append(s.args, args...)...)
}

// container is the id of a service's container.
func (s stack) container(service string) string {
	s.t.Helper()
	return s.compose("ps", "--all", "--quiet", service)
}

// standIns makes the images of others that our files name. Of their entrypoints only what our files rely on is there;
// the services are Debian's: PostgreSQL 17, Redis 7 and Caddy 2.6.
func (e *engine) standIns() {
	e.t.Helper()
	old := debian(e.t, "bookworm", "ca-certificates", "caddy", "netcat-openbsd", "redis-server")
	e.importFrom(old, "redis:7", "WORKDIR /data")
	e.importFrom(old, "caddy:2", "ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data", "WORKDIR /srv",
		`CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]`)
	e.importFrom(debian(e.t, "trixie", "postgresql-17"), "system")
	e.dockerfile("postgres:17", "testdata", `FROM system
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
`)
	e.golang()
	for _, image := range []string{"postgres:17", "redis:7", "caddy:2", "golang:1.26"} {
		e.t.Logf("in the place of %s: %s bytes", image, e.docker("image", "inspect", "--format", "{{.Size}}", image))
	}
}

// golang makes an image with this machine's Go and what the module proxy would give, so that the builder stage of the
// Dockerfile runs as it is and needs no network.
func (e *engine) golang() {
	e.t.Helper()
	set := map[string]string{}
	if err := json.Unmarshal([]byte(must(output(exec.Command("go", "env", "-json", "GOROOT", "GOMODCACHE")))), &set); err != nil {
		e.t.Fatal(err)
	}
	// Every go.mod that was ever looked at, since the choice of versions may look at it again, and the code of what is chosen.
	modules, err := output(exec.Command("go", "mod", "download", "-json"))
	if err != nil {
		e.t.Fatal(err)
	}
	cache := filepath.Join(set["GOMODCACHE"], "cache", "download")
	var files strings.Builder
	for chosen := json.NewDecoder(strings.NewReader(modules)); ; {
		var m struct{ Zip string }
		if err := chosen.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			e.t.Fatal(err)
		}
		fmt.Fprintln(&files, must(filepath.Rel(cache, m.Zip)))
	}
	if err := fs.WalkDir(os.DirFS(cache), ".", func(path string, _ fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); ext == ".mod" || ext == ".info" {
			fmt.Fprintln(&files, path)
		}
		return err
	}); err != nil {
		e.t.Fatal(err)
	}
	list := filepath.Join(e.dir, "modules")
	if err := os.WriteFile(list, []byte(files.String()), 0o600); err != nil {
		e.t.Fatal(err)
	}
	e.importTar("goproxy", []string{"-C", cache, "--files-from", list})
	e.importTar("goroot", []string{"-C", set["GOROOT"], "."})
	e.dockerfile("golang:1.26", must(os.MkdirTemp(e.dir, "empty-")), `FROM redis:7
COPY --from=goroot / /usr/local/go/
COPY --from=goproxy / /goproxy/
ENV PATH=/usr/local/go/bin:/usr/bin:/bin GOPATH=/go GOPROXY=file:///goproxy GOSUMDB=off GOTOOLCHAIN=local
`)
}

// importFrom makes an image of a Debian.
func (e *engine) importFrom(root, image string, changes ...string) {
	e.t.Helper()
	e.importTar(image, []string{"-C", root, "--exclude=./var/cache/*", "--exclude=./var/lib/apt/*", "--exclude=./usr/share/doc/*", "."},
		append([]string{"ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, changes...)...)
}

// importTar makes an image with one layer, what tar packs.
func (e *engine) importTar(image string, what []string, changes ...string) {
	e.t.Helper()
	args := []string{"import"}
	for _, change := range changes {
		args = append(args, "--change", change)
	}
	load := e.command(append(args, "-", image)...)
	pack := exec.Command("tar", append([]string{"-c"}, what...)...)
	files, err := pack.StdoutPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := pack.Start(); err != nil {
		e.t.Fatal(err)
	}
	load.Stdin = files
	_, err = output(load)
	if err := errors.Join(err, pack.Wait()); err != nil {
		e.t.Fatal(err)
	}
}

// dockerfile builds an image from a Dockerfile given by its text.
func (e *engine) dockerfile(image, context, text string) {
	e.t.Helper()
	cmd := e.command("build", "--tag", image, "--file", "-", context)
	cmd.Stdin = strings.NewReader(text)
	if _, err := output(cmd); err != nil {
		e.t.Fatal(err)
	}
}

// batch is one sample, the nth of a device.
func batch(device string, n int, at time.Time) string {
	return fmt.Sprintf(`{"samples":[{"device_id":%q,"ts":%q,"pv_power_w":%d,"battery_power_w":-250,"battery_soc_pct":77.5,"load_power_w":1300.5,"export_power_w":%d}]}`,
		device, at.UTC().Format(time.RFC3339), n, n-1050)
}

func ingest(t *testing.T, e *engine, client *reader) {
	at := time.Now().Add(-time.Second).Truncate(time.Second)
	status, text, err := client.ask("meter", http.MethodPost, front+"/v1/ingest", batch("meter", 4242, at))
	if err != nil || status != http.StatusOK || text != `{"inserted":1}` {
		t.Fatalf("%d %q: %v", status, text, err)
	}
	if status, text, err := client.ask("meter", http.MethodGet, front+"/v1/devices", ""); err != nil || status != http.StatusOK || !strings.Contains(text, `"version":"1.2.3"`) {
		t.Errorf("the image has another version than it was built with: %d %q: %v", status, text, err)
	}
	status, text, err = client.ask("meter", http.MethodGet, front+"/v1/realtime?device_id=meter", "")
	var now struct {
		At    time.Time `json:"ts"`
		PV    float64   `json:"pv_power_w"`
		Load  float64   `json:"load_power_w"`
		Grid  float64   `json:"grid_power_w"`
		State string    `json:"state"`
	}
	if err := errors.Join(err, json.Unmarshal([]byte(text), &now)); err != nil || status != http.StatusOK {
		t.Fatalf("%d %q: %v", status, text, err)
	}
	if !now.At.Equal(at) || now.PV != 4242 || now.Load != 1300.5 || now.Grid != 1050-4242 || now.State != "live" {
		t.Errorf("realtime says %+v of %s", now, text)
	}
	if status, text, err := client.ask("nobody", http.MethodGet, front+"/v1/realtime?device_id=meter", ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("without a token of ours: %d %q: %v", status, text, err)
	}
	stranger := &reader{http.Client{Transport: &http.Transport{DialContext: e.dial}}}
	_, _, err = stranger.ask("meter", http.MethodGet, front+"/", "")
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("who does not know Caddy's authority gets: %v", err)
	}
}

func private(t *testing.T, client *reader) {
	for path, want := range map[string]int{
		"/health": 404, "/ready": 404, "/metrics": 404, "/v1/../metrics": 404, "/debug/pprof/": 404, "/": 200, "/openapi.yaml": 200,
	} {
		if status, text, err := client.ask("meter", http.MethodGet, front+path, ""); err != nil || status != want {
			t.Errorf("%s: %d %q: %v", path, status, text, err)
		}
	}
}

// restarts restarts the database and the cache while samples come in, each sent until it is acknowledged.
func restarts(t *testing.T, vps stack, client *reader) {
	stop, sent := make(chan struct{}), make(chan int)
	refused := 0
	go func() {
		began := time.Now().Add(-time.Hour)
		for n := 0; ; n++ {
			for {
				if status, _, err := client.ask("load", http.MethodPost, front+"/v1/ingest", batch("load", n, began.Add(time.Duration(n)*time.Second))); err == nil && status == http.StatusOK {
					break
				}
				refused++
				time.Sleep(100 * time.Millisecond)
			}
			select {
			case <-stop:
				sent <- n + 1
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	for _, service := range []string{"postgres", "redis", "postgres"} {
		vps.compose("restart", service)
		vps.awaitHealth(vps.container(service), "healthy")
	}
	close(stop)
	select {
	case n := <-sent:
		got, err := client.samples(front, "load")
		if err != nil || got != n {
			t.Errorf("%d samples are stored, %d were acknowledged: %v", got, n, err)
		}
		t.Logf("%d samples, %d requests that had to be sent again", n, refused)
		if refused == 0 || n < 100 {
			t.Error("the test tests nothing")
		}
	case <-time.After(testservices.Patience):
		t.Error("nothing is acknowledged after the last restart")
	}
}

// downAndUp takes all of the server away and brings it back, while the edge polls on.
func downAndUp(t *testing.T, vps, home stack, client *reader) {
	before := map[string]int{}
	for _, device := range []string{"meter", "load", "roof"} {
		n, err := client.samples(front, device)
		if err != nil {
			t.Fatal(err)
		}
		before[device] = n
	}
	vps.compose("down")
	home.await("samples wait at home", func() error {
		if h := home.health("sunspool-edge_spool"); h.SpoolCount < 3 {
			return fmt.Errorf("%d", h.SpoolCount)
		}
		return nil
	})
	vps.compose("up", "--detach", "--wait", "--wait-timeout", "180")
	for device, n := range before {
		if got, err := client.samples(front, device); err != nil || got < n {
			t.Errorf("%s has %d samples, had %d: %v", device, got, n, err)
		}
	}
	home.awaitSamples(client, front, "roof", before["roof"]+3)
}
