package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sunspool/internal/testservices"
)

const proxyDocument = "../docs/behind-a-proxy.md"

// documented returns the fenced blocks of a language in docs/behind-a-proxy.md: what is documented is what runs here.
func documented(t *testing.T, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(proxyDocument)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no block of %s", proxyDocument, language)
	}
	return blocks
}

// setting is the value of a variable in a documented block.
func setting(t *testing.T, language, name string) string {
	t.Helper()
	for line := range strings.Lines(documented(t, language)[0]) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	t.Fatalf("the block of %s in %s does not have %s", language, proxyDocument, name)
	return ""
}

// proxyProgram is a program whose documented block is run.
type proxyProgram struct {
	name, pkg, program string
	// http1 is what is replaced in the block so that it offers HTTP/1.1 alone.
	http1 [2]string
	// cdn is what is replaced behind a CDN, which the document describes.
	cdn [2]string
	// around is the rest of a configuration, with %s for the block, DIR and PORT.
	around string
	argv   []string // after the program; DIR is its directory
	reload syscall.Signal
}

// caddy has no signal for a reload: its Caddyfile turns that off, and it is restarted.
const restarts = syscall.Signal(0)

var proxyPrograms = []proxyProgram{
	{
		name: "nginx", pkg: "nginx-light", program: "nginx", reload: syscall.SIGHUP,
		http1: [2]string{" http2", ""}, cdn: [2]string{" $remote_addr;", " $proxy_add_x_forwarded_for;"},
		argv: []string{"-p", "DIR", "-e", "stderr", "-c", "DIR/conf"},
		around: `daemon off; worker_processes 2; pid DIR/pid; error_log stderr;
events { worker_connections 512; }
http {
	access_log off; client_body_temp_path DIR/body; proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
%s}
`,
	},
	{
		name: "haproxy", pkg: "haproxy", program: "haproxy", reload: syscall.SIGUSR2,
		http1: [2]string{"alpn h2,http/1.1", "alpn http/1.1"}, cdn: [2]string{"http-request del-header X-Forwarded-For ", ""},
		argv:   []string{"-W", "-f", "DIR/conf"},
		around: "global\n    maxconn 500\n\n%s",
	},
	{
		name: "apache", pkg: "apache2", program: "apache2", reload: syscall.SIGUSR1,
		http1: [2]string{"Protocols h2 http/1.1", "Protocols http/1.1"}, cdn: [2]string{"RequestHeader unset X-Forwarded-For early", ""},
		argv: []string{"-f", "DIR/conf", "-DFOREGROUND"},
		around: `ServerRoot DIR
ServerName localhost
DefaultRuntimeDir DIR
PidFile DIR/pid
ErrorLog /dev/stderr
User www-data
Group www-data
Listen 127.0.0.1:PORT
` + apacheModules("mpm_event", "authz_core", "socache_shmcb", "ssl", "http2", "proxy", "proxy_http", "headers", "alias") + "%s",
	},
	{
		name: "caddy", pkg: "caddy", program: "caddy", reload: restarts,
		http1: [2]string{"\tservers {\n", "\tservers {\n\t\tprotocols h1\n"}, cdn: [2]string{"(to_api) {\n", "(to_api) {\n\ttrusted_proxies " + cdn + "\n"},
		argv: []string{"run", "--config", "DIR/conf", "--adapter", "caddyfile"}, around: "%s",
	},
}

// eachProxy runs f with every proxy, all at once on any number of cores: most of the time is spent waiting.
func eachProxy(t *testing.T, f func(*testing.T, proxyProgram)) {
	t.Helper()
	var all sync.WaitGroup
	for _, program := range proxyPrograms {
		all.Go(func() { t.Run(program.name, func(t *testing.T) { f(t, program) }) })
	}
	all.Wait()
}

func apacheModules(names ...string) (lines string) {
	for _, name := range names {
		lines += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", name)
	}
	return lines
}

// cdn is the address on the loopback of what stands in for a CDN.
const cdn = "127.0.0.2"

// proxied is a site whose vps speaks plain HTTP behind a proxy. What the site asks goes through the proxy.
type proxied struct {
	*site
	backend string // address of the vps
	proxy   *testservices.ProgramServer
	program proxyProgram
	trusted string // TRUSTED_PROXIES of the vps
}

// behind starts a vps, which trusts the documented proxies and others, and in front of it a proxy with its documented block,
// in which change is made first: its first text becomes its second.
func behind(t *testing.T, program proxyProgram, change [2]string, others ...string) *proxied {
	t.Helper()
	path := testservices.Need(t, program.pkg, program.program)
	s := &proxied{site: newSite(t), program: program, backend: fmt.Sprint("127.0.0.1:", testservices.FreePort(t))}
	s.trusted = strings.Join(append(others, setting(t, "vps", "TRUSTED_PROXIES")), ",")
	port := fmt.Sprint(testservices.FreePort(t))
	s.listen = "localhost:" + port
	dir := testservices.Dir(t, program.name)
	block, env := s.block(t, dir, port)
	if !strings.Contains(block, change[0]) {
		t.Fatalf("the block of %s does not have %q:\n%s", program.name, change[0], block)
	}
	block = strings.ReplaceAll(block, change[0], change[1])
	conf := strings.NewReplacer("DIR", dir, "PORT", port).Replace(fmt.Sprintf(strings.ReplaceAll(program.around, "%s", "%[1]s"), block))
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serveBehind()
	argv := []string{path}
	for _, arg := range program.argv {
		argv = append(argv, strings.ReplaceAll(arg, "DIR", dir))
	}
	s.proxy = testservices.Program(t, program.name, argv, env, s.answers)
	return s
}

// block is the documented block with this site's names, ports and files, and what its program needs in the environment.
func (s *proxied) block(t *testing.T, dir, port string) (block string, env []string) {
	t.Helper()
	if s.program.name == "caddy" {
		text, err := os.ReadFile("../vps/Caddyfile")
		if err != nil {
			t.Fatal(err)
		}
		s.secret.caFile = filepath.Join(dir, "caddy", "pki", "authorities", "local", "root.crt") // Caddy signs for localhost itself
		env = strings.Fields(strings.NewReplacer("solar.example.org", s.listen, "127.0.0.1:8000", s.backend).Replace(documented(t, "caddy")[0]))
		return string(text), append(env, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, fmt.Sprint("HTTP_PORT=", testservices.FreePort(t)))
	}
	whole := filepath.Join(dir, "whole.pem")
	cert, err := os.ReadFile(filepath.Join(s.dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(s.dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(whole, slices.Concat(cert, key), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"/etc/letsencrypt/live/solar.example.org/fullchain.pem", filepath.Join(s.dir, "cert.pem"),
		"/etc/letsencrypt/live/solar.example.org/privkey.pem", filepath.Join(s.dir, "key.pem"),
		"/etc/haproxy/solar.example.org.pem", whole,
		"[::]:443", "127.0.0.2:"+port, ":::443 v4v6", "127.0.0.1:"+port, "*:443", "*:"+port, "listen 443", "listen 127.0.0.1:"+port,
		"solar.example.org", "localhost", "127.0.0.1:8000", s.backend,
	).Replace(documented(t, s.program.name)[0]), nil
}

// probeToken is that of a device without an edge.
const probeToken = "pr0be-0123456789abcdef"

// serveBehind starts the vps with the documented settings, or starts it again, and waits until it answers.
func (s *proxied) serveBehind() {
	s.t.Helper()
	s.vps = s.start("vps.log", []string{
		"DATA_DIR=" + s.dir, "LISTEN_ADDR=" + s.backend, "INTERNAL_ADDR=", "TRUSTED_PROXIES=" + s.trusted,
		"DEVICE_TOKENS=t0ken-0123456789abcdef:roof," + probeToken + ":probe",
	}, "vps")
	testservices.Await(s.t, "the vps answers", func() bool {
		resp, err := http.Get("http://" + s.backend + "/health")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// answers reports whether the proxy speaks TLS with a certificate that its clients accept.
func (s *proxied) answers() error {
	config, err := s.trust()
	if err != nil {
		return err
	}
	conn, err := tls.Dial("tcp", s.address(), config)
	if err != nil {
		return err
	}
	return conn.Close()
}

// address is where the proxy listens, without a name to look up.
func (s *proxied) address() string {
	_, port, _ := net.SplitHostPort(s.listen)
	return net.JoinHostPort("127.0.0.1", port)
}

func (s *proxied) trust() (*tls.Config, error) {
	ca, err := os.ReadFile(s.secret.caFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	if !config.RootCAs.AppendCertsFromPEM(ca) {
		return nil, errors.New("no certificate in " + s.secret.caFile)
	}
	return config, nil
}

// client is a client of the proxy that calls from an address of its own on the loopback.
func (s *proxied) client(from string) *http.Client {
	s.t.Helper()
	config, err := s.trust()
	if err != nil {
		s.t.Fatal(err)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c := &http.Client{Transport: &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true, DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.address())
		},
	}}
	s.t.Cleanup(c.CloseIdleConnections)
	return c
}

// reloadProxy makes the proxy read its configuration again.
func (s *proxied) reloadProxy() {
	if s.program.reload == restarts {
		s.proxy.Stop()
		s.proxy.Start()
		return
	}
	s.proxy.Signal(s.program.reload)
}
