// Package transport sends HTTPS requests to the server: directly or through a forward proxy, to the address of its name that
// answers. Errors are explained as a health.Fault.
//
//	name ─ resolve ─> addresses ─ dial ─> connection ─ TLS, by roots ─> request ─> response
//	                  (by turns)          (kept while the name has its address)
//	                      └────────── exchange: the stage that was reached ──> Explain
package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

const (
	requestTimeout = 30 * time.Second // of a request, from the look-up of the name to the end of the answer
	idleTimeout    = 50 * time.Second // of a connection: shorter than that of servers and proxies, which is 60 s and more
)

// NewClient returns the HTTP client for uploads: it always verifies the server's certificate, by what trust names if it names
// something, and follows no redirect, which would send the token and the samples to another server.
func NewClient(trust Trust) (*http.Client, error) {
	t := &Transport{
		Dial:    (&net.Dialer{}).DialContext,
		Lookup:  net.DefaultResolver.LookupNetIP,
		Proxy:   http.ProxyFromEnvironment,
		Timeout: requestTimeout,
		roots:   roots{file: trust.CAFile},
	}
	if trust.Fingerprint != "" {
		sum, err := ParseFingerprint(trust.Fingerprint)
		if err != nil {
			return nil, fmt.Errorf("VPS_FINGERPRINT: %w", err)
		}
		t.roots.pin = sum[:]
	}
	if trust.Pin != nil {
		if len(trust.Pin) < leastPin {
			return nil, errors.New("the pin of the server's authority is too short")
		}
		t.roots.pin = trust.Pin
	}
	t.Handshake, t.nameEvery = t.handshake, nameEvery
	if err := t.roots.load(); err != nil {
		return nil, err
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// Transport sends requests to the server. Nothing that it has learned is kept for the life of the process:
//
//	name ── resolved for each connection, and every nameEvery while one lives; a connection is replaced when the
//	        name no longer has its address
//	address ── all of the name are tried, the one that worked last first, see dial.go
//	roots ── read again when their files change, and when a certificate is not accepted, see roots.go
//
// Requests may follow each other in any goroutine, but one at a time. The fields are set before the first.
type Transport struct {
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	Proxy   func(*http.Request) (*url.URL, error) // nil is no proxy
	Time    func() time.Time                      // by which certificates are verified; nil is the host's clock
	Timeout time.Duration

	Handshake func(ctx context.Context, conn net.Conn, host string, protocols []string) (net.Conn, error)
	nameEvery time.Duration
	roots     roots
	names     names
	paths     paths

	mu        sync.Mutex
	transport *http.Transport
	connected connected
	verified  certificate // of the last answer
}

// connected describes the newest connection.
type connected struct {
	host    string // name that was resolved: that of the server or of a proxy
	addr    netip.AddrPort
	proxied bool
	since   time.Time
	checked time.Time // when the name still had the address
}

// RoundTrip makes one request. Its error is *exchangeError unless the request was cancelled.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), t.Timeout)
	e := &exchange{host: req.URL.Hostname()}
	if t.Proxy != nil {
		if proxy, err := t.Proxy(req); err == nil && proxy != nil {
			e.proxy, e.credentials, e.secrets = ProxyAddress(proxy), proxy.User != nil, secretsOf(proxy)
		}
	}
	t.refresh(ctx)
	resp, err := t.current().RoundTrip(req.WithContext(e.trace(ctx)))
	if err != nil {
		err = t.failed(req.Context(), e, err)
		cancel()
		return nil, err
	}
	t.answered(resp)
	resp.Body = &answerBody{resp.Body, cancel, func(err error) error { return t.failed(req.Context(), e, err) }}
	return resp, nil
}

// CloseIdleConnections closes the connection of the last request.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	t.connected = connected{}
	t.mu.Unlock()
	t.current().CloseIdleConnections()
}

// current returns the transport of the present roots.
func (t *Transport) current() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.transport == nil {
		t.transport = t.build()
	}
	return t.transport
}

// reconnect makes the next request open a connection, with the present roots.
func (t *Transport) reconnect() {
	t.mu.Lock()
	old := t.transport
	t.transport, t.connected = t.build(), connected{}
	t.mu.Unlock()
	if old != nil {
		old.CloseIdleConnections()
	}
}

func (t *Transport) build() *http.Transport {
	return &http.Transport{
		Proxy:                  t.Proxy,
		DialContext:            t.dialPlain,
		DialTLSContext:         t.dialTLS,
		GetProxyConnectHeader:  announceProxy,
		OnProxyConnectResponse: checkProxyAnswer,
		TLSClientConfig:        t.tlsConfig("", nil), // of what goes through a proxy
		TLSHandshakeTimeout:    handshakeTimeout,
		ResponseHeaderTimeout:  t.Timeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    1,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		// A connection on which nothing came for 15 s gets a ping. With an upload every 10 s that is never.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
}

func (t *Transport) tlsConfig(host string, protocols []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: t.roots.get(), ServerName: cmp.Or(t.roots.name(), host), NextProtos: protocols,
		Time: t.verifyTime,
	}
}

// verifyTime returns the time by which certificates are verified.
func (t *Transport) verifyTime() time.Time {
	if t.Time == nil {
		return now()
	}
	return t.Time()
}

// handshake returns conn with TLS, to host. An authority that is known by its fingerprint alone is first seen in a handshake
// that fails, for lack of roots; the next one is verified by it.
func (t *Transport) handshake(ctx context.Context, conn net.Conn, host string, protocols []string) (net.Conn, error) {
	secured := tls.Client(conn, t.tlsConfig(host, protocols))
	err := secured.HandshakeContext(ctx)
	if err == nil {
		return secured, nil
	}
	conn.Close()
	if !t.roots.learn(err) {
		return nil, err
	}
	again, err := t.Dial(ctx, conn.RemoteAddr().Network(), conn.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	secured = tls.Client(again, t.tlsConfig(host, protocols))
	if err := secured.HandshakeContext(ctx); err != nil {
		again.Close()
		return nil, err
	}
	return secured, nil
}

// refresh brings up to date what the next request depends on: the roots, and whether the name still has the address of
// the connection. A connection stays while its name cannot be resolved.
func (t *Transport) refresh(ctx context.Context) {
	if t.roots.changed() && t.roots.reload() {
		t.reconnect()
		return
	}
	t.mu.Lock()
	c := t.connected
	t.mu.Unlock()
	at := now()
	if !c.addr.IsValid() || at.Sub(c.checked) < t.nameEvery {
		return
	}
	if c.proxied { // the proxy resolves the server's name, once for each connection
		t.reconnect()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookupAside)
	defer cancel()
	addrs, err := t.names.resolve(ctx, t.Lookup, c.host)
	if err == nil && !hasAddr(addrs, c.addr.Addr()) {
		t.reconnect()
		return
	}
	if err != nil {
		at = at.Add(min(nameAgain, t.nameEvery) - t.nameEvery)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connected.checked = at
}

// answered records the certificate of the server that answered.
func (t *Transport) answered(resp *http.Response) {
	if resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verified = certificate{cert: resp.TLS.PeerCertificates[0], at: now()}
}

// CertificateExpiry returns until when the certificate of the server that answered last is valid, zero if none has.
func (t *Transport) CertificateExpiry() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.verified.cert == nil {
		return time.Time{}
	}
	return t.verified.cert.NotAfter
}

// failed returns the error of an exchange that failed, and makes the next one avoid the address. A certificate that was
// not accepted may be one of roots that are new on this host, so they are read again.
func (t *Transport) failed(caller context.Context, e *exchange, err error) error {
	if caller.Err() != nil {
		return err
	}
	t.mu.Lock()
	addr, verified := t.connected.addr, t.verified
	t.mu.Unlock()
	x := e.failure(err)
	x.verified, x.at = verified, t.verifyTime()
	if x.stage >= stageRequest {
		x.addr = addr
	}
	if x.stage >= stageProxy && isStall(err) && x.addr.IsValid() {
		t.paths.stalled(x.addr.Addr())
	}
	if isCertificate(err) {
		if t.roots.learn(err) || t.roots.forced() && t.roots.reload() {
			t.reconnect()
		}
		x.pinned = t.roots.pin != nil
		x.ownRoots, x.rootsTrouble = t.roots.file != "", t.roots.problem()
	}
	return x
}
