package packaging

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/testhost"
	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

var emulate = flag.Bool("qemu", false, "run what is built for other processors on emulated ones")

// pis are the processors of the Raspberry Pis, the newest first: those of a Pi 3, of a Pi 2, and of a Pi 1 or Zero.
var pis = []struct {
	target
	qemu []string
}{
	{target{"arm64", ""}, []string{"qemu-aarch64-static", "-cpu", "cortex-a53"}},
	{target{"arm", "7"}, []string{"qemu-arm-static", "-cpu", "cortex-a7"}},
	{target{"arm", "6"}, []string{"qemu-arm-static", "-cpu", "arm1176"}},
}

// On each processor an edge delivers, is killed while the server is away, and what was durable arrives all the same.
func TestEdgeOnOtherProcessorsLosesNothing(t *testing.T) {
	needQemu(t)
	native := program(t, target{runtime.GOARCH, ""})
	for _, pi := range pis {
		t.Run(pi.String(), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, native, append(pi.qemu, program(t, pi.target), "edge"))
			s.startInverter()
			vps := s.startVPS()
			edge := s.startEdge()
			s.until("samples arrive", func() bool { return s.stored() >= 2 })

			if err := vps.end(syscall.SIGTERM); err != nil {
				t.Errorf("the vps, told to end, says %v", err)
			}
			before := len(s.durable())
			s.until("samples wait in the spool", func() bool { return len(s.durable()) >= before+2 })
			edge.end(syscall.SIGKILL)
			killed := s.durable()

			vps, edge = s.startVPS(), s.startEdge()
			s.until("what waited arrives, and more is read", func() bool {
				n := len(s.durable()) // all of it, whichever is sent first
				return n > len(killed) && s.stored() >= n
			})
			if err := edge.end(syscall.SIGTERM); err != nil {
				t.Errorf("the edge, told to end, says %v", err)
			}
			if err := vps.end(syscall.SIGTERM); err != nil {
				t.Errorf("the vps, told to end, says %v", err)
			}
			s.compare(killed)
		})
	}
}

// The control: what is built for a later ARM than ARMv6 dies on the processor of the first Raspberry Pi.
func TestBuildForARMv6HasNoLaterInstruction(t *testing.T) {
	needQemu(t)
	version := func(goarm string) error {
		cmd := exec.CommandContext(t.Context(), "qemu-arm-static", "-cpu", "arm1176", program(t, target{"arm", goarm}), "version")
		cmd.Dir = t.TempDir() // for the core
		return cmd.Run()
	}
	if err := version("6"); err != nil {
		t.Errorf("the build for ARMv6 on an ARMv6: %v", err)
	}
	died, ok := errors.AsType[*exec.ExitError](version("7"))
	if !ok || died.Sys().(syscall.WaitStatus).Signal() != syscall.SIGILL {
		t.Errorf("the build for ARMv7 on an ARMv6 does not die of an illegal instruction (%v): the test shows nothing", died)
	}
}

func needQemu(t *testing.T) {
	t.Helper()
	if !*emulate {
		t.Skip("SKIPPED, NOTHING IS SHOWN: takes a minute, and long to build: make test-qemu")
	}
	testservices.Need(t, "qemu-user-static", "qemu-arm-static")
}

// site is an edge on an emulated processor, and the inverter and the vps on this one.
type site struct {
	t       *testing.T
	dir     string
	native  string
	edge    []string // how it is run
	client  *http.Client
	listen  string
	sungrow string // port
}

func newSite(t *testing.T, native string, edge []string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), native: native, edge: edge}
	server := httptest.NewTLSServer(nil) // for its certificate and its client
	defer server.Close()
	s.client, s.listen = server.Client(), testhost.Address(t)
	cert := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(s.file(name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) file(name string) string { return filepath.Join(s.dir, name) }

// process is a program that runs.
type process struct {
	*exec.Cmd
	done chan error
}

// start runs argv, with nothing but env. What it says goes behind what is in the file log.
func (s *site) start(log string, env []string, argv ...string) *process {
	s.t.Helper()
	out, err := os.OpenFile(s.file(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	p := &process{Cmd: exec.Command(argv[0], argv[1:]...), done: make(chan error, 1)}
	p.Env, p.Dir, p.Stdout, p.Stderr = env, s.dir, out, out
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.done <- p.Wait() }()
	s.t.Cleanup(func() { p.Process.Kill() })
	return p
}

// end sends a signal and returns how the process ended, which it must some time.
func (p *process) end(sig syscall.Signal) error {
	p.Process.Signal(sig)
	select {
	case err := <-p.done:
		return err
	case <-time.After(testservices.Patience):
		return errors.New("it does not end")
	}
}

func (s *site) startInverter() {
	s.t.Helper()
	s.start("inverter.log", nil, s.native, "simulate", "--listen=127.0.0.1:0")
	said := regexp.MustCompile(` on 127\.0\.0\.1:(\d+) `)
	s.until("the inverter listens", func() bool {
		found := said.FindSubmatch(s.log("inverter.log"))
		if found != nil {
			s.sungrow = string(found[1])
		}
		return found != nil
	})
}

func (s *site) startVPS() *process {
	s.t.Helper()
	return s.start("vps.log", []string{
		"DATA_DIR=" + s.dir, "LISTEN_ADDR=" + s.listen, "INTERNAL_ADDR=", "DEVICE_TOKENS=t0ken-0123456789abcdef:pi",
		"TLS_CERT_FILE=" + s.file("cert.pem"), "TLS_KEY_FILE=" + s.file("key.pem"),
	}, s.native, "vps")
}

func (s *site) startEdge() *process {
	s.t.Helper()
	return s.start("edge.log", []string{
		"SUNGROW_HOST=127.0.0.1", "SUNGROW_PORT=" + s.sungrow, "DEVICE_ID=pi", "VPS_BASE_URL=https://" + s.listen,
		"VPS_DEVICE_TOKEN=t0ken-0123456789abcdef", "VPS_CA_FILE=" + s.file("cert.pem"), "UPLOAD_INTERVAL_S=1", "MAX_BACKOFF_S=2",
		"SPOOL_PATH=" + s.file("spool.db"), "LOG_LEVEL=debug", "CLOCK_TRUST=always",
	}, s.edge...)
}

// until waits for what must come true.
func (s *site) until(what string, is func() bool) {
	s.t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > testservices.Patience {
			s.t.Fatalf("waited in vain until %s; the edge said\n%s\nand the vps\n%s", what, tail(s.log("edge.log")), tail(s.log("vps.log")))
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Logf("%s: after %.1f s", what, time.Since(began).Seconds())
}

func (s *site) log(name string) []byte {
	text, err := os.ReadFile(s.file(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Error(err)
	}
	return text
}

func tail(log []byte) []byte { return log[max(0, len(log)-3000):] }

// durable reads from the log of the edge what was written to its spool.
func (s *site) durable() (all []wire.Sample) {
	for lines := bufio.NewScanner(bytes.NewReader(s.log("edge.log"))); lines.Scan(); {
		var line struct {
			Msg    string
			Sample wire.Sample
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "spooled" {
			all = append(all, line.Sample)
		}
	}
	return all
}

// stored asks the vps how many samples it has: 0 while it does not answer.
func (s *site) stored() int {
	day := func(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) }
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet,
		fmt.Sprintf("https://%s/v1/continuity?device_id=pi&from=%s&to=%s", s.listen, day(-1), day(1)), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer t0ken-0123456789abcdef")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	var answer struct{ Rows int }
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &answer) != nil {
		s.t.Logf("the vps answers %d: %s", resp.StatusCode, body)
		return 0
	}
	return answer.Rows
}

// compare holds the store of a vps that has ended against what was durable when the edge was killed, and since.
func (s *site) compare(killed []wire.Sample) {
	s.t.Helper()
	disk, err := bolt.Open(s.file("vps.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer disk.Close()
	periods, err := disk.Periods(s.t.Context(), store.Query{Device: "pi", Resolution: store.Quarter})
	if err != nil {
		s.t.Fatal(err)
	}
	rows := 0
	for _, p := range periods {
		rows += int(p.Count)
	}
	missing, err := disk.Insert(s.t.Context(), "pi", killed)
	if err != nil {
		s.t.Fatal(err)
	}
	all := len(s.durable()) + 1 // one may be durable without being in the log, when the kill came between the two
	if missing != 0 || rows < len(killed) || rows > all || disk.Conflicts() != 0 {
		s.t.Errorf("%d samples were durable at the kill, %d in all: %d of the former are missing, %d rows, %d of them differ",
			len(killed), all-1, missing, rows, disk.Conflicts())
	}
	s.t.Logf("%d samples were durable at the kill, %d in all, %d are stored", len(killed), all-1, rows)
}
