package demo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/simulator"
	"sunspool/internal/testhost"
	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(openerVariable) != "" {
		openSpools()
		return
	}
	os.Exit(m.Run())
}

// site is a vps process with its own certificate, and what edges need to reach it.
type site struct {
	t      testing.TB
	dir    string
	listen string
	secret *secrets
	vps    *process
}

// process is one run of the program. Its log goes to a file.
type process struct {
	cmd  *exec.Cmd
	done chan error
}

func (s *site) start(log string, env []string, args ...string) *process {
	s.t.Helper()
	path := testprogram.Path(s.t)
	out, err := os.OpenFile(filepath.Join(s.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p, ended := &process{cmd: cmd, done: make(chan error, 1)}, make(chan struct{})
	go func() {
		defer close(ended)
		p.done <- cmd.Wait()
	}()
	s.t.Cleanup(func() { cmd.Process.Kill(); <-ended }) // its directory is removed next
	return p
}

// end sends a signal and waits for the exit.
func (p *process) end(sig os.Signal) error {
	p.cmd.Process.Signal(sig)
	return <-p.done
}

// siteName is in the certificate of a site, as localhost is. No name server knows it.
const siteName = "solar.example.org"

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	var err error
	if s.secret, err = newSecrets(s.dir, siteName); err != nil {
		t.Fatal(err)
	}
	cert := s.secret.tls.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.listen = testhost.Address(t)
	return s
}

// patience is how long a test waits for what must happen some time: a busy machine is no failure.
const patience = 3 * time.Minute

// serve starts the vps and waits until it answers.
func (s *site) serve(tokens string) {
	s.t.Helper()
	s.vps = s.start("vps.log", []string{
		"DATA_DIR=" + s.dir, "LISTEN_ADDR=" + s.listen, "INTERNAL_ADDR=" + testhost.Address(s.t), "DEVICE_TOKENS=" + tokens,
		"TLS_CERT_FILE=" + filepath.Join(s.dir, "cert.pem"), "TLS_KEY_FILE=" + filepath.Join(s.dir, "key.pem"),
	}, "vps")
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := s.get("/health", ""); err == nil && resp.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "vps.log"))
			s.t.Fatalf("the vps does not answer:\n%s", log)
		}
	}
}

func (s *site) get(path, token string) (*http.Response, error) {
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(s.secret.caFile)
	if err != nil {
		return nil, err
	}
	pool.AppendCertsFromPEM(ca)
	config := s.secret.tls.Clone()
	config.Certificates, config.RootCAs = nil, pool
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	req, err := http.NewRequest(http.MethodGet, "https://"+s.listen+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// edge starts an edge that reads the inverter at modbus, with further settings.
func (s *site) edge(device, token, modbus string, more ...string) *process {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(modbus)
	return s.start(device+".log", append([]string{
		"SUNGROW_HOST=" + host, "SUNGROW_PORT=" + port, "DEVICE_ID=" + device, "VPS_BASE_URL=https://" + s.listen,
		"VPS_DEVICE_TOKEN=" + token, "VPS_CA_FILE=" + s.secret.caFile, "UPLOAD_INTERVAL_S=1", "MAX_BACKOFF_S=2",
		"SPOOL_PATH=" + filepath.Join(s.dir, device, "spool.db"), "LOG_LEVEL=debug", "CLOCK_TRUST=always",
	}, more...), "edge")
}

// spooled reads from an edge's log what was durable in its spool.
func (s *site) spooled(device string) (all []wire.Sample) {
	s.t.Helper()
	f, err := os.Open(filepath.Join(s.dir, device+".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
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

// inverter serves Modbus TCP in this process.
func inverter(t *testing.T, o simulator.Options) (*simulator.Server, string) {
	t.Helper()
	sim, err := simulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return sim, l.Addr().String()
}

// A hundred kill -9 of the real edge, and some of the real vps: what was durable is stored once, nothing else is.
func TestKilledEdgeLosesAndDoublesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: takes two minutes")
	}
	t.Parallel() // it mostly waits
	const edges, kills = 10, 10
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -2)})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	var tokens []string
	for i := range edges {
		tokens = append(tokens, fmt.Sprintf("t0ken-0123456789abcdef-%d:inverter%d", i, i))
	}
	s.serve(strings.Join(tokens, ","))

	stalls := testservices.Stalls(t)
	var sims [edges]*simulator.Server
	var wg sync.WaitGroup
	for i := range edges {
		var address string
		sims[i], address = inverter(t, simulator.Options{Home: home})
		device, token := fmt.Sprint("inverter", i), fmt.Sprint("t0ken-0123456789abcdef-", i)
		wg.Go(func() {
			for range kills {
				p := s.edge(device, token, address)
				time.Sleep(4*time.Second + rand.N(10*time.Second)) // the first poll may take 8 s: a rest, and a new connection
				p.end(syscall.SIGKILL)
			}
			p := s.edge(device, token, address)
			time.Sleep(12 * time.Second)
			if err := p.end(syscall.SIGTERM); err != nil {
				t.Errorf("%s: told to stop it says %v", device, err)
			}
		})
	}
	for range 5 {
		time.Sleep(8 * time.Second)
		s.vps.end(syscall.SIGKILL)
		s.serve(strings.Join(tokens, ","))
	}
	wg.Wait()
	_, worst := stalls()
	if err := s.vps.end(syscall.SIGTERM); err != nil {
		t.Errorf("the vps, told to stop, says %v", err)
	}

	disk, err := bolt.Open(filepath.Join(s.dir, "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	total := 0
	for i := range edges {
		device := fmt.Sprint("inverter", i)
		made := s.spooled(device)
		total += len(made)
		rows := 0
		periods, err := disk.Periods(t.Context(), store.Query{Device: device, Resolution: store.Quarter})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range periods {
			rows += int(p.Count)
		}
		missing, err := disk.Insert(t.Context(), device, made)
		if err != nil {
			t.Fatal(err)
		}
		// A sample may be durable without being in the log, when the kill came between the two.
		if missing != 0 || rows < len(made) || rows > len(made)+kills {
			t.Errorf("%s: %d samples durable, %d of them not stored, %d rows", device, len(made), missing, rows)
		}
		if a := sims[i].Audit(); !polite(a, worst) {
			t.Errorf("%s: the dongle was treated badly: %+v, while this machine was late by at most %v", device, a, worst)
		}
	}
	if n := disk.Conflicts(); n != 0 {
		t.Errorf("%d rows are not what was durable", n)
	}
	if total < edges*kills/2 {
		t.Errorf("only %d samples in all: the test tests nothing", total)
	}
	t.Logf("%d kills of the edge, 5 of the vps, %d samples", edges*kills, total)
}

// polite reports whether a dongle was treated well in real time. A busy machine may read the first of two requests late,
// by worst at most as far as that was measured, so that they seem closer than they were sent; in virtual time nothing excuses
// that, see TestPoliteWhateverHappens.
func polite(a simulator.Audit, worst time.Duration) bool {
	late := 250*time.Millisecond + worst
	return a.MaxOpen <= 1 && a.PollGap.Least >= 5*time.Second-late && a.RequestGap.Least >= 20*time.Millisecond
}
