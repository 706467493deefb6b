package vps

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

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
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { r.stop() }) // before its folder is removed, in which it writes until it ends
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
}
