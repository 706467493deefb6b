package transport_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/transport"
	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testservices"
)

// These tests run in namespaces of their own, with the kernel's network, nftables, a real name server and real proxies.
var slowNetworks = flag.Bool("networks", false, "wait as long on real networks as the edge does")

const (
	inNetwork  = "SUNSPOOL_TEST_NETWORK"
	serverName = "vps.example.org"
	serverPort = "26900"
)

// network is the one of this process, which has nothing but a loopback with more addresses.
type network struct {
	t     *testing.T
	hosts string // file of dnsmasq
	dns   *testservices.ProgramServer
	ca    *uploadtest.Authority
}

// inNamespace runs the calling test again in a process with a network of its own, and returns that there; elsewhere it
// returns nil.
func inNamespace(t *testing.T) *network {
	t.Helper()
	if os.Getenv(inNetwork) != "" {
		return newNetwork(t)
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: only root can make a network to test on")
	}
	for pkg, program := range map[string]string{"nftables": "nft", "iproute2": "ip", "dnsmasq-base": "dnsmasq"} {
		testservices.Need(t, pkg, program)
	}
	t.Parallel() // they mostly wait
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if *slowNetworks {
		args = append(args, "-networks")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	cmd.Env = []string{inNetwork + "=1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSPC):
		t.Skipf("SKIPPED, NOTHING IS SHOWN: no network of its own for a test: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return nil
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{t: t, hosts: filepath.Join(t.TempDir(), "hosts"), ca: uploadtest.NewAuthority(t)}
	n.run("ip", "link", "set", "lo", "up")
	n.run("nft", "add table inet t; add chain inet t in { type filter hook input priority 0; }")
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	write(t, resolv, []byte("nameserver 127.0.0.1\n"))
	if err := syscall.Mount(resolv, "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: /etc/resolv.conf cannot be another file: %v", err)
	}
	return n
}

func (n *network) run(argv ...string) {
	n.t.Helper()
	if out, err := exec.CommandContext(n.t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
		n.t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// drop makes the kernel swallow packets to this host.
func (n *network) drop(match string) { n.t.Helper(); n.run("nft", "add rule inet t in "+match+" drop") }

// address gives the host an address.
func (n *network) address(addr string) {
	n.t.Helper()
	n.run("ip", "address", "add", fmt.Sprintf("%s/%d", addr, netip.MustParseAddr(addr).BitLen()), "dev", "lo", "nodad")
}

// name gives the name of the server these addresses in the name server.
func (n *network) name(addrs ...string) {
	n.t.Helper()
	var lines strings.Builder
	for _, a := range addrs {
		fmt.Fprintf(&lines, "%s %s\n", a, serverName)
	}
	write(n.t, n.hosts, []byte(lines.String()))
	if n.dns != nil {
		n.dns.Stop()
		n.dns.Start()
		return
	}
	n.dns = testservices.Program(n.t, "dnsmasq", []string{"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
		"--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--addn-hosts=" + n.hosts}, nil, func() error {
		_, err := net.DefaultResolver.LookupNetIP(n.t.Context(), "ip", serverName)
		return err
	})
}

// serve puts a server at an address, and returns how many requests it answers.
func (n *network) serve(addr string) (requests *atomic.Int64, from *atomic.Pointer[string]) {
	n.t.Helper()
	n.address(addr)
	l, err := net.Listen("tcp", net.JoinHostPort(addr, serverPort))
	if err != nil {
		n.t.Fatal(err)
	}
	requests, from = new(atomic.Int64), new(atomic.Pointer[string])
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		requests.Add(1)
		from.Store(&r.RemoteAddr)
		uploadtest.Accept(w, r)
	}))
	s.Listener.Close()
	s.Listener, s.EnableHTTP2, s.Config.ErrorLog = l, true, log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{n.ca.Issue(func(c *x509.Certificate) { c.DNSNames = []string{serverName} })}}
	s.StartTLS()
	n.t.Cleanup(s.Close)
	return requests, from
}

// uploader returns one to the name of the server, whose waits are short unless they are to be those of the edge.
func (n *network) uploader() *upload.Uploader {
	n.t.Helper()
	u := clientTo(n.t, "https://"+serverName+":"+serverPort, n.ca.File)
	if tr := u.Client.Transport.(*transport.Transport); !*slowNetworks {
		tr.Timeout = 10 * time.Second
		tr.SetNameEvery(time.Second)
	}
	return u
}

// delivered uploads until it succeeds, and returns how many uploads failed and the last reason.
func delivered(t *testing.T, u *upload.Uploader) (failures int, last error) {
	t.Helper()
	begin := time.Now()
	for {
		err := uploads(t, u)
		if err == nil {
			if took := time.Since(begin); failures > 0 || took > time.Second {
				t.Logf("delivered after %d failures and %v; the last: %v", failures, took.Round(10*time.Millisecond), last)
			}
			return failures, last
		}
		if last, failures = upload.Explain(err), failures+1; failures > 20 {
			t.Fatal(last)
		}
		time.Sleep(u.Wait(err))
	}
}

func TestRealNetworkFirstAddressesSwallowEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: real networks make it wait")
	}
	n := inNamespace(t)
	if n == nil {
		return
	}
	for i := 3; i < 6; i++ {
		n.address(fmt.Sprintf("10.66.0.%d", i))
	}
	requests, _ := n.serve("10.66.0.2")
	n.drop("ip daddr { 10.66.0.3, 10.66.0.4, 10.66.0.5 } tcp dport " + serverPort)
	for _, addrs := range [][]string{{"10.66.0.3", "10.66.0.2"}, {"10.66.0.3", "10.66.0.4", "10.66.0.5", "10.66.0.2"}} {
		n.name(addrs...)
		if failures, _ := delivered(t, n.uploader()); failures > 0 || requests.Load() == 0 {
			t.Errorf("%v: %d uploads failed", addrs, failures)
		}
	}
}

func TestRealNetworkMTUHoleOfOneFamily(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: real networks make it wait")
	}
	n := inNamespace(t)
	if n == nil {
		return
	}
	six, _ := n.serve("2001:db8::1")
	four, _ := n.serve("10.66.0.2")
	n.drop("ip6 daddr 2001:db8::1 meta length > 600")
	n.name("2001:db8::1", "10.66.0.2")
	u := n.uploader()
	for range 3 {
		if failures, _ := delivered(t, u); failures > 0 {
			t.Errorf("%d uploads failed", failures)
		}
		u.Client.CloseIdleConnections()
	}
	if six.Load() > 0 || four.Load() < 3 {
		t.Errorf("%d requests by IPv6, %d by IPv4", six.Load(), four.Load())
	}
	n.run("nft", "flush chain inet t in")
	n.drop("ip daddr 10.66.0.2 meta length > 600")
	failures, _ := delivered(t, u)
	if failures > 1 || six.Load() == 0 {
		t.Errorf("the other way round: %d uploads failed, %d by IPv6", failures, six.Load())
	}
	n.drop("ip6 daddr 2001:db8::1 meta length > 600")
	u.Client.CloseIdleConnections()
	f := asFault(upload.Explain(uploads(t, u)))
	if f == nil || !strings.Contains(f.Why, "handshake") || !strings.Contains(f.Next, "MTU") {
		t.Errorf("both: %v", f)
	}
}

func TestRealNetworkNameMoves(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: real networks make it wait")
	}
	n := inNamespace(t)
	if n == nil {
		return
	}
	old, _ := n.serve("10.66.0.2")
	fresh, _ := n.serve("10.66.0.3")
	n.name("10.66.0.2")
	u := n.uploader()
	delivered(t, u)
	n.name("10.66.0.3")
	begin := time.Now()
	for fresh.Load() == 0 {
		if failures, last := delivered(t, u); failures > 0 {
			t.Fatal(last)
		}
		if old.Load() > 1000 {
			t.Fatalf("after %v the old server still gets the samples", time.Since(begin))
		}
		time.Sleep(u.Client.Transport.(*transport.Transport).NameEvery() / 20)
	}
	t.Logf("followed after %v", time.Since(begin))
	n.dns.Stop()
	time.Sleep(u.Client.Transport.(*transport.Transport).NameEvery() * 3 / 2)
	if failures, last := delivered(t, u); failures > 0 {
		t.Errorf("without a name server: %v", last)
	}
	u.Client.CloseIdleConnections()
	if failures, last := delivered(t, u); failures > 0 {
		t.Errorf("a new connection without a name server: %v", last)
	}
}

// A router that restarts forgets its connections: their packets are dropped, and those of new ones pass.
func TestRealNetworkForgetsAConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: real networks make it wait")
	}
	n := inNamespace(t)
	if n == nil {
		return
	}
	_, from := n.serve("10.66.0.2")
	n.name("10.66.0.2")
	u := n.uploader()
	delivered(t, u)
	_, port, err := net.SplitHostPort(*from.Load())
	if err != nil {
		t.Fatal(err)
	}
	n.drop("tcp sport " + port)
	n.drop("tcp dport " + port)
	if failures, last := delivered(t, u); failures > 1 {
		t.Errorf("%d uploads failed: %v", failures, last)
	}
}

func TestRealProxiesThatWantAPassword(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: real networks make it wait")
	}
	for _, program := range []string{"openssl", "squid", "tinyproxy"} {
		testservices.Need(t, program, program) // here: in the namespace there is no network to install it from
	}
	n := inNamespace(t)
	if n == nil {
		return
	}
	n.address("10.66.0.4")
	requests, _ := n.serve("10.66.0.2")
	n.name("10.66.0.2")
	const proxy = "10.66.0.4:3128"
	const dir = "/mnt"
	for _, path := range []string{dir, "/dev/shm"} { // of this process alone: Squid's user reads one, and leaves its memory in the other
		if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "mode=1777"); err != nil {
			t.Fatal(err)
		}
	}
	listens := func() error {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", proxy)
		if err == nil {
			conn.Close()
		}
		return err
	}
	for name, start := range map[string]func(t *testing.T){
		"squid": func(t *testing.T) {
			squid := testservices.Need(t, "squid", "squid")
			secret, err := exec.CommandContext(t.Context(), testservices.Need(t, "openssl", "openssl"), "passwd", "-apr1", "hunter2:@/%").Output()
			if err != nil {
				t.Fatal(err)
			}
			users, conf := filepath.Join(dir, "users"), filepath.Join(dir, "squid.conf")
			write(t, users, append([]byte("roof:"), secret...))
			os.Chmod(users, 0o644)
			write(t, conf, []byte("http_port "+proxy+"\nauth_param basic program /usr/lib/squid/basic_ncsa_auth "+users+
				"\nacl known proxy_auth REQUIRED\nacl shut port 26901\nhttp_access deny shut\nhttp_access allow known\nhttp_access deny all\ndns_nameservers 127.0.0.1\n"+
				"cache deny all\npid_filename none\naccess_log none\ncache_log /dev/null\ncache_store_log none\nmax_filedescriptors 1024\nshutdown_lifetime 0 seconds\n"))
			testservices.Program(t, "squid", []string{squid, "-N", "-d", "1", "-f", conf}, nil, listens)
		},
		"tinyproxy": func(t *testing.T) {
			tiny, conf := testservices.Need(t, "tinyproxy", "tinyproxy"), filepath.Join(dir, "tinyproxy.conf")
			write(t, conf, []byte("Port 3128\nListen 10.66.0.4\nTimeout 60\nMaxClients 10\nBasicAuth roof hunter2\nConnectPort "+serverPort+"\n"))
			testservices.Program(t, "tinyproxy", []string{tiny, "-d", "-c", conf}, nil, listens)
		},
	} {
		t.Run(name, func(t *testing.T) {
			password := map[string]string{"squid": "hunter2:@/%", "tinyproxy": "hunter2"}[name]
			start(t)
			upload := func(user *url.Userinfo, port string) error {
				u := clientTo(t, "https://"+serverName+":"+port, n.ca.File)
				u.Client.Transport.(*transport.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", User: user, Host: proxy})
				return uploads(t, u)
			}
			before := requests.Load()
			expect(t, faultOf(t, upload(nil, serverPort), password), "proxy", "the proxy "+proxy+" ", "HTTPS_PROXY")
			expect(t, faultOf(t, upload(url.UserPassword("roof", "wrong"), serverPort), "wrong"), "proxy", "the proxy "+proxy+" ", "HTTPS_PROXY")
			expect(t, faultOf(t, upload(url.UserPassword("roof", password), "26901"), password), "proxy", "refuses a connection", "allow CONNECT")
			if requests.Load() != before {
				t.Error("a request went past the proxy")
			}
			if err := upload(url.UserPassword("roof", password), serverPort); err != nil || requests.Load() != before+1 {
				t.Errorf("with the password: %v", err)
			}
		})
	}
}
