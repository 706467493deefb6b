package setup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/internal/testhost"
	"sunspool/packaging"
	"sunspool/vps"
)

// put writes a file of the machine.
func (m machine) put(name, text string) {
	m.Helper()
	path := filepath.Join(m.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
}

// serverMachine is a machine with a short path, for the socket of a server.
func serverMachine(t *testing.T) machine {
	t.Helper()
	root, err := os.MkdirTemp("", "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	return machine{T: t, root: root}
}

// serve runs a server with these settings as that of the machine.
func (m machine) serve(cfg vps.Config) {
	m.Helper()
	socket := filepath.Join(m.root, vpsSocket)
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		m.Fatal(err)
	}
	cfg.DataDir, cfg.AdminSocket, cfg.DeviceTokens, cfg.InternalAddr, cfg.Version = m.TempDir(), socket, "store", "", "test"
	cfg.WebAuth, cfg.MaxSamplesPerRequest, cfg.MaxRequestBytes = "token", 1000, 1<<20
	listening, ended := make(chan struct{}), make(chan error, 1)
	cfg.Listening = func(net.Addr, net.Addr) { close(listening) }
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- vps.Run(ctx, cfg, slog.New(slog.DiscardHandler)) }()
	m.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			m.Error(err)
		}
	})
	select {
	case <-listening:
	case err := <-ended:
		ended <- nil
		m.Fatal(err)
	}
}

// freePort is one that nothing listens at but what this test starts.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(testhost.Address(t))
	return port
}

// accepted reports whether a server takes the token of the machine's edge.
func (m machine) accepted(url string, config *tls.Config) {
	m.Helper()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	r, _ := http.NewRequestWithContext(m.Context(), http.MethodPost, url+"/v1/ingest", strings.NewReader(`{"device_id":"roof","samples":[]}`))
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(m.files()[tokenFile]))
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		m.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden {
		m.Errorf("the token is answered with %s", answer.Status)
	}
}

// A server that is there already, at another port and with a certificate of its owner's or its own, is the one that the edge beside it
// is paired with; its settings stay as they are.
func TestEdgeBesideAServerThatIsThereIsPairedWithIt(t *testing.T) {
	all := Config{Role: roleAll, Inverter: "192.168.1.9", Device: "roof", Yes: true}
	t.Run("an authority of its own, at another port", func(t *testing.T) {
		m, port := serverMachine(t), freePort(t)
		own := "# mine\nDEVICE_TOKENS=store\nLISTEN_ADDR=127.0.0.1:" + port + "\nTLS_SELF=1\n\n"
		m.put(vpsEnv, own)
		m.serve(vps.Config{ListenAddr: "127.0.0.1:" + port, TLSSelf: true})
		out, err := m.do(all)
		url := "https://localhost:" + port
		if err != nil || !strings.Contains(out, "Paired with "+url+" as roof") || !strings.Contains(out, "stays as it is") {
			t.Fatalf("%v\n%s", err, out)
		}
		files := m.files()
		env, _ := parseEnv(files[edgeEnv])
		if env.get("VPS_BASE_URL") != url || env.get("VPS_FINGERPRINT") == "" || files[vpsEnv] != own {
			t.Errorf("%v", files)
		}
		again, err := m.do(all)
		if err != nil || !strings.Contains(again, "as they should be") || m.files()[edgeEnv] != files[edgeEnv] || m.files()[tokenFile] != files[tokenFile] {
			t.Errorf("again: %v\n%s", err, again)
		}
	})
	t.Run("a certificate of a private authority", func(t *testing.T) {
		m, port, ca := serverMachine(t), freePort(t), uploadtest.NewAuthority(t)
		leaf := ca.Issue(func(c *x509.Certificate) { c.DNSNames = []string{"*.home.example", "localhost"} })
		key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		m.put("/etc/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]})))
		m.put("/etc/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
		m.put(vpsEnv, "DEVICE_TOKENS=store\nLISTEN_ADDR=0.0.0.0:"+port+"\nTLS_CERT_FILE=/etc/cert.pem\nTLS_KEY_FILE=/etc/key.pem\n")
		m.put(edgeEnv, "VPS_CA_FILE="+ca.File+"\n")
		m.serve(vps.Config{ListenAddr: "127.0.0.1:" + port, TLSCertFile: filepath.Join(m.root, "/etc/cert.pem"), TLSKeyFile: filepath.Join(m.root, "/etc/key.pem")})
		out, err := m.do(all)
		url := "https://localhost:" + port
		if err != nil || !strings.Contains(out, "Paired with "+url+" as roof") {
			t.Fatalf("%v\n%s", err, out)
		}
		roots := x509.NewCertPool()
		text, _ := os.ReadFile(ca.File)
		roots.AppendCertsFromPEM(text)
		m.accepted(url, &tls.Config{RootCAs: roots})
		if files := m.files(); files[homeDrop] != "" || strings.Contains(files[vpsEnv], "TLS_SELF") {
			t.Errorf("%v", files)
		}
	})
}

// Behind a proxy only the owner knows the address, unless it is set; nothing is written without it.
func TestAddressOfAServerBehindAProxyIsAsked(t *testing.T) {
	const behind = "DEVICE_TOKENS=store\nLISTEN_ADDR=127.0.0.1:8000\n"
	cfg := Config{Role: roleAll, Inverter: "192.168.1.9", Yes: true}
	m := newMachine(t)
	m.put(vpsEnv, behind)
	before := m.files()
	_, err := m.do(cfg)
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Exit != health.ExitUsage || !strings.Contains(f.What, "--server") || len(m.files()) != len(before) {
		t.Errorf("%v, %v", err, m.files())
	}
	for name, c := range map[string]struct {
		env, server, want string
	}{
		"the flag":           {behind, "https://pv.example.org/", "https://pv.example.org"},
		"PUBLIC_URL":         {behind + "PUBLIC_URL=https://solar.example.org\n", "", "https://solar.example.org"},
		"nothing is set":     {"", "", "https://localhost:8443"},
		"own, at an address": {"TLS_SELF=1\nLISTEN_ADDR=192.168.1.5:443\n", "", "https://192.168.1.5"},
		"own, switched off":  {behind + "TLS_SELF=0\nPUBLIC_URL=https://solar.example.org\n", "", "https://solar.example.org"},
	} {
		m := newMachine(t)
		if c.env != "" {
			m.put(vpsEnv, c.env)
		}
		cfg := cfg
		cfg.Server, cfg.Print = c.server, true
		if out, err := m.do(cfg); err != nil || !strings.Contains(out, "+ VPS_BASE_URL="+c.want+"\n") || c.env != "" && strings.Contains(out, "- ") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	typed := newMachine(t)
	typed.put(vpsEnv, behind)
	out, err := typed.do(Config{Role: roleAll, Inverter: "192.168.1.9", TZ: "Europe/Brussels", Print: true}, "http://solar.example.org", "https://solar.example.org")
	if err != nil || !strings.Contains(out, "is behind a proxy") || !strings.Contains(out, "+ VPS_BASE_URL=https://solar.example.org\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What the package ships as an example stays readable: its comments in their order, and what is set below the comment that shows it.
func TestSettingsKeepTheOrderOfTheExample(t *testing.T) {
	m := newMachine(t)
	url, code, _ := sunspoolServer(t, http.StatusOK)
	if out, err := m.do(Config{Role: roleEdge, Inverter: "192.168.1.9:1502", Unit: 2, Server: url, Pair: code, Yes: true}); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rest := m.files()[edgeEnv]
	for line := range strings.Lines(packaging.Env("edge")) {
		if !strings.HasPrefix(line, "#") && line != "\n" {
			continue // a value
		}
		_, after, ok := strings.Cut(rest, line)
		if !ok {
			t.Fatalf("%q is missing, or elsewhere, in\n%s", line, m.files()[edgeEnv])
		}
		rest = after
	}
	if !strings.Contains(m.files()[edgeEnv], "#SUNGROW_PORT=502\nSUNGROW_PORT=1502\n#SUNGROW_SLAVE_ID=1\nSUNGROW_SLAVE_ID=2\n") {
		t.Errorf("%s", m.files()[edgeEnv])
	}
}

// A file is the owner's to the last byte: quotes, several empty lines at its end, or none.
func TestBytesOfTheOwnerStay(t *testing.T) {
	for _, own := range []string{
		"DEVICE_ID=\"roof\"\n\n# mine\nSUNGROW_HOST='192.168.1.9'\nVPS_BASE_URL=https://x.example.org\n\n\n",
		"SUNGROW_HOST=192.168.1.9\nDEVICE_ID=roof\nVPS_BASE_URL=https://x.example.org",
	} {
		m := newMachine(t)
		m.put(edgeEnv, own)
		m.put(tokenFile, token+"\n")
		if out, err := m.do(Config{Yes: true}); err != nil || m.files()[edgeEnv] != own || !strings.Contains(out, "as they should be") {
			t.Errorf("%v\n%s\n%q", err, out, m.files()[edgeEnv])
		}
		if _, err := m.do(Config{Device: "garage", Yes: true}); err != nil || strings.NewReplacer(`"garage"`, `"roof"`, "garage", "roof").Replace(m.files()[edgeEnv]) != strings.Replace(own, `"roof"`, "roof", 1) {
			t.Errorf("%v\n%q", err, m.files()[edgeEnv])
		}
	}
}
