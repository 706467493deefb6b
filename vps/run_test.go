package vps

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/health"
	"sunspool/wire"
)

// running is a vps as main runs it.
type running struct {
	public, internal string
	reload           chan os.Signal
	log              *logBuffer
	stop             func() error // ends Run and returns its error
}

func start(t *testing.T, cfg Config) running {
	t.Helper()
	r := running{reload: make(chan os.Signal), log: new(logBuffer)}
	listening := make(chan struct{})
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	cfg.ListenAddr, cfg.Reload = "127.0.0.1:0", r.reload
	cfg.Listening = func(public, internal net.Addr) {
		r.public = public.String()
		if internal != nil {
			r.internal = internal.String()
		}
		close(listening)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, slog.New(slog.NewJSONHandler(r.log, nil))) }()
	select {
	case <-listening:
	case err := <-done:
		t.Fatal(err)
	}
	r.stop = func() error { cancel(); return <-done }
	return r
}

func status(t *testing.T, client *http.Client, method, url, token string) int {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(`{"samples":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func TestRunServesReloadsAndStops(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	os.WriteFile(file, []byte("first-0123456789abcdef:inv-1"), 0o600)
	r := start(t, Config{DeviceTokensFile: file, InternalAddr: "127.0.0.1:0", CacheTTLS: 5})
	api, client := "http://"+r.public, http.DefaultClient

	if got := status(t, client, "POST", api+wire.IngestPath, "first-0123456789abcdef"); got != 200 {
		t.Errorf("ingest: %d", got)
	}
	for _, path := range []string{"/health", "/ready", "/metrics"} {
		if got := status(t, client, "GET", "http://"+r.internal+path, ""); got != 200 {
			t.Errorf("internal %s: %d", path, got)
		}
	}
	os.WriteFile(file, []byte("nonsense"), 0o600)
	r.reload <- syscall.SIGHUP
	r.reload <- syscall.SIGHUP // is taken when the one before is over
	if got := status(t, client, "POST", api+wire.IngestPath, "first-0123456789abcdef"); got != 200 {
		t.Errorf("after a bad reload: %d", got)
	}
	os.WriteFile(file, []byte("second-0123456789abcdef:inv-1"), 0o600)
	r.reload <- syscall.SIGHUP
	r.reload <- syscall.SIGHUP
	if got := status(t, client, "POST", api+wire.IngestPath, "second-0123456789abcdef"); got != 200 {
		t.Errorf("after a reload: %d", got)
	}
	if got := status(t, client, "POST", api+wire.IngestPath, "first-0123456789abcdef"); got != 401 {
		t.Errorf("the token of before: %d", got)
	}
	client.CloseIdleConnections()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", r.public); err == nil {
		t.Error("still listening")
	}
}

func TestTakenPortSaysWhoseSettingAndWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	err = Run(t.Context(), Config{DataDir: t.TempDir(), ListenAddr: taken.Addr().String(), DeviceTokens: "t-0123456789abcdef:inv-1"}, slog.New(slog.DiscardHandler))
	fault, ok := errors.AsType[*health.Fault](err)
	if !ok || fault.Exit != health.ExitBusy || !strings.Contains(fault.What, "LISTEN_ADDR") || fault.Next == "" {
		t.Errorf("%#v", err)
	}
}

// pipes is a listener inside a synctest bubble, where time passes only when all wait.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

func TestSlowCallersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		s := &Server{Tokens: mustTokens(t), Log: slog.New(slog.DiscardHandler)}
		done := make(chan error, 1)
		go func() { done <- Serve(ctx, l, nil, s.Handler(), s.Log) }()

		for name, slow := range map[string]struct {
			head  string        // sent at once, then a byte every second
			limit time.Duration // until it must be closed
		}{
			"nothing":  {"", 5 * time.Second},
			"headers":  {"GET /health HTTP/1.1\r\nHost: x\r\nX: ", 5 * time.Second},
			"body":     {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token1 + "\r\nContent-Length: 1000000\r\n\r\n", 15 * time.Second},
			"no token": {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", 15 * time.Second},
			"idle":     {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 151 * time.Second},
		} {
			conn, began := l.dial(), time.Now()
			var drip sync.WaitGroup
			drip.Go(func() {
				io.WriteString(conn, slow.head)
				for name != "idle" && name != "nothing" {
					time.Sleep(time.Second) // virtual
					if _, err := conn.Write([]byte(" ")); err != nil {
						return
					}
				}
			})
			io.Copy(io.Discard, conn) // until the server closes
			if took := time.Since(began); took > slow.limit+time.Second {
				t.Errorf("%s: closed after %v", name, took)
			}
			conn.Close()
			drip.Wait()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func mustTokens(t *testing.T) *Tokens {
	t.Helper()
	tokens, err := ParseTokens(token1+":inv-1", "")
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestHeadersAreBoundedAndSmugglingIsRefused(t *testing.T) {
	b := newBench(t)
	l := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, nil, b.api, b.Log) }()
	for name, test := range map[string]struct {
		request string
		want    string
	}{
		"big header":       {"GET /health HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", "431"},
		"two lengths":      {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"},
		"malformed length": {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx", "400"},
		"bad chunking":     {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", "501"},
		"two hosts":        {"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
		"HTTP/2 preface":   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404"}, // a request like others: nothing upgrades
		"fine":             {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "200"},
	} {
		conn := l.dial()
		go io.WriteString(conn, test.request)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+test.want) {
			t.Errorf("%s: %q %v, want %s", name, line, err, test.want)
		}
		conn.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestStoppingAnswersWhatIsInFlight: a batch that is being stored when the process is told to stop is answered.
func TestStoppingAnswersWhatIsInFlight(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-release
		if r.Context().Err() != nil {
			w.WriteHeader(500)
		}
		io.WriteString(w, "stored")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, nil, h, slog.New(slog.DiscardHandler)) }()
	answers := make(chan string, 1)
	go func() {
		answer, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answers <- err.Error()
			return
		}
		body, _ := io.ReadAll(answer.Body)
		answers <- fmt.Sprint(answer.StatusCode, " ", string(body))
	}()
	<-began
	cancel()
	for { // until new callers are refused
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case err := <-done:
		t.Fatalf("over with a request in flight: %v", err)
	default:
	}
	close(release)
	if got := <-answers; got != "200 stored" {
		t.Error(got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestARequestThatNeverEndsDoesNotKeepTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		done := make(chan error, 1)
		go func() { done <- Serve(ctx, l, nil, h, slog.New(slog.DiscardHandler)) }()
		conn := l.dial()
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait()
		cancel()
		began := time.Now()
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) || time.Since(began) < drainTime || time.Since(began) > drainTime+time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// TestCertificateIsRenewedWithoutRestart, and a half-written renewal does no harm.
func TestCertificateIsRenewedWithoutRestart(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := x509.NewCertPool()
	issue(t, roots, 1, certFile, keyFile)
	r := start(t, Config{TLSCertFile: certFile, TLSKeyFile: keyFile, DeviceTokens: "t-0123456789abcdef:inv-1"})

	serial := func() int64 {
		t.Helper()
		conn, err := tls.Dial("tcp", r.public, &tls.Config{RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("protocol %q", p)
		}
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serial %d", got)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	if got := status(t, client, "POST", "https://"+r.public+wire.IngestPath, "t-0123456789abcdef"); got != 200 {
		t.Errorf("ingest: %d", got)
	}
	client.CloseIdleConnections()
	if _, err := tls.Dial("tcp", r.public, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}

	os.WriteFile(keyFile, []byte("half a key"), 0o600)
	r.reload <- syscall.SIGHUP
	r.reload <- syscall.SIGHUP
	if got := serial(); got != 1 {
		t.Errorf("serial %d after half a renewal", got)
	}
	issue(t, roots, 2, certFile, keyFile)
	r.reload <- syscall.SIGHUP
	r.reload <- syscall.SIGHUP
	if got := serial(); got != 2 {
		t.Errorf("serial %d after a renewal", got)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}

	c, err := newCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.get(now)
	issue(t, roots, 3, certFile, keyFile)
	os.Chtimes(certFile, now, now.Add(time.Hour))
	if got := c.get(now.Add(time.Second)).Leaf.SerialNumber.Int64(); got != 2 {
		t.Errorf("serial %d: the files are looked at for every caller", got)
	}
	if got := c.get(now.Add(certificateCheck)).Leaf.SerialNumber.Int64(); got != 3 {
		t.Errorf("serial %d: the change was not seen", got)
	}
}

// issue writes a new self-signed certificate for the loopback, and trusts it.
func issue(t *testing.T, roots *x509.CertPool, serial int64, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "vps"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	roots.AddCert(cert)
	keyDER, _ := x509.MarshalPKCS8PrivateKey(key)
	os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
}
