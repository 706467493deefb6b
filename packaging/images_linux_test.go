package packaging

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sunspool/edge/report"
	"sunspool/internal/testservices"
)

var withImages = flag.Bool("images", false, "build the images and run them in a Docker engine (90 s)")

const (
	nobody = 65532                    // whom the images run as
	server = "https://localhost:8443" // of TestImages, seen from the engine's network
)

// token is a device's.
func token(device string) string { return "0123456789abcdef0123456789abcdef-" + device }

// confined is how the compose files run our containers.
var confined = []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}

// TestImages builds both images of this checkout in a real Docker engine and runs them as the compose files do, against
// a simulated inverter.
func TestImages(t *testing.T) {
	if !*withImages {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this takes a Docker engine and a minute: make test-images")
	}
	e := startEngine(t)
	e.docker("network", "create", "net")
	certs := filepath.Join(e.dir, "tls")
	certify(t, "vps", certs)

	e.build("edge")
	e.run("inverter", "sunspool-edge", nil, "simulate", "--listen", "0.0.0.0:5020", "--seed", "7")
	for _, device := range []string{"roof", "barn"} {
		e.run(device, "sunspool-edge", []string{
			"--health-interval", "1s", // the rest of the check as it is shipped
			"--volume", device + ":/data", "--volume", certs + ":/tls:ro",
			"--env", "SUNGROW_HOST=inverter", "--env", "SUNGROW_PORT=5020", "--env", "DEVICE_ID=" + device,
			"--env", "VPS_BASE_URL=https://vps:8000", "--env", "VPS_CA_FILE=/tls/cert.pem", "--env", "VPS_DEVICE_TOKEN=" + token(device),
			"--env", "UPLOAD_INTERVAL_S=1", "--env", "CLOCK_TRUST=always", // who tests may have no time server
		})
	}
	e.build("vps")
	e.run("vps", "sunspool-vps", []string{
		"--health-interval", "1s", "--publish", "8443:8000", "--volume", "vps:/data", "--volume", certs + ":/tls:ro",
		"--env", "TLS_CERT_FILE=/tls/cert.pem", "--env", "TLS_KEY_FILE=/tls/key.pem",
		"--env", "DEVICE_TOKENS=" + token("roof") + ":roof," + token("barn") + ":barn",
	})
	client := e.client(filepath.Join(certs, "cert.pem"))

	claim := func(name string, holds func(*testing.T, *engine)) bool {
		return t.Run(name, func(t *testing.T) { holds(t, e.of(t)) })
	}
	if !claim("both become healthy", func(t *testing.T, e *engine) {
		e.awaitHealth("roof", "healthy")
		e.awaitHealth("vps", "healthy")
	}) {
		return
	}
	e.docker("kill", "--signal", "STOP", "roof") // it takes a minute until that may be noticed, so it comes first
	stopped := time.Now()

	claim("samples arrive", func(t *testing.T, e *engine) { e.awaitSamples(client, server, "barn", 1) })
	claim("nobody in particular may do nothing in particular", confinement)
	claim("they hold the program and nothing else", contents)
	claim("the spool survives kill -9", func(t *testing.T, e *engine) { spoolSurvives(t, e, client) })
	claim("they stop in good order", goodOrder)
	claim("compose takes its files", composeTakesItsFiles)
	claim("the edge becomes unhealthy when polling stops, and healthy again", func(t *testing.T, e *engine) {
		// By edge.Check the file is fresh for a minute and a poll; then one check is enough. With the 90 s between checks
		// that are shipped that makes two of them at most, as a test of the edge computes.
		e.awaitHealth("roof", "unhealthy")
		t.Logf("unhealthy %v after the stop", time.Since(stopped).Round(time.Second))
		e.docker("kill", "--signal", "CONT", "roof")
		t.Logf("healthy %v after it goes on", e.awaitHealth("roof", "healthy").Round(time.Second))
		e.awaitSamples(client, server, "roof", 2)
	})
}

// build builds the image of a role from this checkout with a binary that is there already, as a release does.
func (e *engine) build(role string) {
	e.t.Helper()
	binary := program(e.t, target{goarch: runtime.GOARCH})
	context := filepath.Join(e.dir, "context-"+role)
	platform := filepath.Join(context, "linux", runtime.GOARCH)
	if err := errors.Join(
		os.MkdirAll(platform, 0o755),
		os.CopyFS(platform, os.DirFS(filepath.Dir(binary))),
		os.WriteFile(filepath.Join(context, "Dockerfile"), must(os.ReadFile("../Dockerfile")), 0o644),
	); err != nil {
		e.t.Fatal(err)
	}
	e.docker("build", "--target", role, "--build-arg", "BINARY=prebuilt", "--tag", "sunspool-"+role, context)
	e.t.Logf("the image of the %s: %s bytes", role, e.docker("image", "inspect", "--format", "{{.Size}}", "sunspool-"+role))
}

// run starts a confined container of an image of ours, with options of its own.
func (e *engine) run(name, image string, options []string, command ...string) {
	e.t.Helper()
	args := append([]string{"run", "--detach", "--name", name, "--network", "net"}, confined...)
	args = append(append(args, options...), image)
	e.docker(append(args, command...)...)
	e.t.Cleanup(func() {
		if e.t.Failed() {
			out, _ := e.command("logs", "--tail", "20", name).CombinedOutput()
			e.t.Logf("%s said last:\n%s", name, out)
		}
	})
}

// certify makes a certificate for a server of that name, and for us, that vouches for itself.
func certify(t testing.TB, name, dir string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert := must(x509.CreateCertificate(rand.Reader, about, about, key.Public(), key))
	keyFile := filepath.Join(dir, "key.pem")
	if err := errors.Join(
		os.Mkdir(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}), 0o600),
		os.Chown(keyFile, nobody, nobody),
	); err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// reader asks a server in the engine's network.
type reader struct{ http.Client }

// client returns one that believes in the authority in a file.
func (e *engine) client(authority string) *reader {
	e.t.Helper()
	text, err := os.ReadFile(authority)
	if err != nil {
		e.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &reader{http.Client{Timeout: testservices.Patience, Transport: &http.Transport{
		DialContext: e.dial, TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true,
	}}}
}

// ask sends one request of a device's owner and returns the status and what is answered.
func (r *reader) ask(device, method, url, body string) (int, string, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+token(device))
	request.Header.Set("Content-Type", "application/json")
	answer, err := r.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// samples is how many of a device a server has.
func (r *reader) samples(of, device string) (int, error) {
	tomorrow := time.Now().Add(24 * time.Hour).UTC()
	status, text, err := r.ask(device, http.MethodGet, fmt.Sprintf("%s/v1/export.csv?device_id=%s&from=%s&to=%s&resolution=raw",
		of, device, tomorrow.AddDate(0, 0, -3).Format(time.DateOnly), tomorrow.Format(time.DateOnly)), "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d: %s", status, text)
	}
	return strings.Count(strings.TrimSpace(text), "\n"), err // the first line names the columns
}

// health is what an edge says of itself in the volume of its spool.
func (e *engine) health(volume string) (h report.Health) {
	e.t.Helper()
	text, err := os.ReadFile(filepath.Join(e.volume(volume), "health.json"))
	if err != nil {
		e.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &h); err != nil {
		e.t.Fatal(err)
	}
	return h
}

// awaitSamples waits until a server has so many of a device.
func (e *engine) awaitSamples(client *reader, of, device string, want int) {
	e.t.Helper()
	e.await(fmt.Sprintf("%d samples of the %s are stored", want, device), func() error {
		n, err := client.samples(of, device)
		if err == nil && n < want {
			err = fmt.Errorf("it has %d", n)
		}
		return err
	})
}

// confinement looks at each container's first process as the kernel sees it.
func confinement(t *testing.T, e *engine) {
	for _, name := range []string{"vps", "barn", "inverter"} {
		text, err := os.ReadFile(filepath.Join(e.process(name), "status"))
		if err != nil {
			t.Fatal(err)
		}
		status := map[string]string{}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			status[key] = strings.Join(strings.Fields(value), " ")
		}
		ids := strings.TrimSpace(strings.Repeat(fmt.Sprint(nobody, " "), 4))
		none := strings.Repeat("0", 16)
		for key, want := range map[string]string{
			"Uid": ids, "Gid": ids, "NoNewPrivs": "1", "Seccomp": "2", "CapEff": none, "CapPrm": none, "CapBnd": none, "CapInh": none,
		} {
			if status[key] != want {
				t.Errorf("%s: %s is %q, want %q", name, key, status[key], want)
			}
		}
		mounts, err := os.ReadFile(filepath.Join(e.process(name), "mounts"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(mounts)) {
			if field := strings.Fields(line); field[1] == "/" && !slices.Contains(strings.Split(field[3], ","), "ro") {
				t.Errorf("%s can write to its image: %s", name, line)
			}
		}
	}
}

// contents lists the files of each image's layers.
func contents(t *testing.T, e *engine) {
	for _, role := range []string{"edge", "vps"} {
		saved := filepath.Join(e.dir, role+".tar")
		e.docker("save", "--output", saved, "sunspool-"+role)
		file, err := os.Open(saved)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		got := map[string]string{}
		for image := tar.NewReader(file); ; {
			_, err := image.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(image)
			if err != nil {
				t.Fatal(err)
			}
			for layer := tar.NewReader(bytes.NewReader(text)); ; { // what is no layer has no entries
				h, err := layer.Next()
				if err != nil {
					break
				}
				got[h.Name] = fmt.Sprintf("%v %d:%d", fs.FileMode(h.Mode).Perm(), h.Uid, h.Gid)
			}
		}
		want := map[string]string{"data/": fmt.Sprintf("-rwx------ %d:%d", nobody, nobody), "sunspool": "-rwxr-xr-x 0:0"}
		if !maps.Equal(got, want) {
			t.Errorf("the image of the %s has %v, want %v", role, got, want)
		}
	}
}

// spoolSurvives takes the server away from an edge that goes on polling, kills the edge, and looks for its samples.
func spoolSurvives(t *testing.T, e *engine, client *reader) {
	e.docker("stop", "--time", "30", "vps")
	waiting := func() int { return e.health("barn").SpoolCount }
	e.await("two samples in the spool", func() error {
		if n := waiting(); n < 2 {
			return fmt.Errorf("%d are waiting", n)
		}
		return nil
	})
	e.docker("kill", "--signal", "KILL", "barn")
	n := waiting()
	e.docker("start", "vps")
	e.awaitHealth("vps", "healthy")
	had, err := client.samples(server, "barn")
	if err != nil || had == 0 {
		t.Fatalf("the restarted vps has %d samples: %v", had, err)
	}
	e.docker("start", "barn")
	e.awaitSamples(client, server, "barn", had+n)
}

// goodOrder stops containers as compose does.
func goodOrder(t *testing.T, e *engine) {
	for _, name := range []string{"barn", "inverter", "vps"} {
		began := time.Now()
		e.docker("stop", "--time", strconv.Itoa(int(testservices.Patience/time.Second)), name)
		if code := e.inspect(name, ".State.ExitCode"); code != "0" { // killed after that time, it would be 137
			t.Errorf("%s ends with %s after %v", name, code, time.Since(began))
		}
	}
	for _, name := range []string{"inverter", "vps"} {
		e.docker("start", name)
	}
}

// composeTakesItsFiles runs the test of the compose files with a compose that is surely there.
func composeTakesItsFiles(t *testing.T, e *engine) {
	cmd := exec.Command("go", "test", "-count", "1", "-v", "-run", "^TestComposeItselfTakesTheFiles$", "sunspool")
	cmd.Env = e.env
	out, err := output(cmd)
	if err != nil || !strings.Contains(out, "--- PASS: TestComposeItselfTakesTheFiles") {
		t.Errorf("%v\n%s", err, out)
	}
}
