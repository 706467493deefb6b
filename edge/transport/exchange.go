package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// stage is how far a request came.
type stage int

const (
	stageDial      stage = iota // the name is resolved, addresses are connected
	stageProxy                  // the proxy is asked for a connection to the server
	stageHandshake              // TLS
	stageRequest                // there is a connection: the request is sent, and the answer awaited
	stageAnswer                 // an answer has begun
)

// exchange records how far one request came, for its error. The transport calls its methods from goroutines of its own,
// also after the request is over.
type exchange struct {
	host        string   // of the server
	proxy       string   // host:port of the proxy, "" for none
	credentials bool     // for the proxy
	secrets     []string // of the proxy: no text may contain them

	mu    sync.Mutex
	stage stage
	addr  netip.AddrPort // that was tried last
}

type exchangeKey struct{}

// trace returns a context for the request, by which what happens to it is recorded.
func (e *exchange) trace(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, exchangeKey{}, e)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { e.reach(stageDial, netip.AddrPort{}) },
		TLSHandshakeStart:    func() { e.reach(stageHandshake, netip.AddrPort{}) },
		GotConn:              func(httptrace.GotConnInfo) { e.reach(stageRequest, netip.AddrPort{}) },
		GotFirstResponseByte: func() { e.reach(stageAnswer, netip.AddrPort{}) },
	})
}

// exchangeOf returns the exchange that a connection is opened for, nil if there is none.
func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

// reach records a stage, and the address if there is one.
func (e *exchange) reach(s stage, addr netip.AddrPort) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stage = s
	if addr.IsValid() {
		e.addr = addr
	}
}

// exchangeError is why a request failed.
type exchangeError struct {
	stage       stage
	host        string         // of the server
	addr        netip.AddrPort // the address that this is about, if there was one
	tried       int            // addresses of the name that were tried
	proxy       string         // host:port of the proxy on the way, "" for none
	atProxy     bool           // the proxy could not be reached, or failed
	credentials bool           // the settings have some for the proxy
	secrets     []string

	verified     certificate // of the server when it answered last
	at           time.Time   // by which certificates are verified
	pinned       bool        // only the authority of VPS_FINGERPRINT is trusted
	ownRoots     bool        // those of VPS_CA_FILE are trusted, and not the system's
	rootsTrouble string      // why the newest roots are not used
	err          error
}

func (e *exchangeError) Error() string { return e.err.Error() }
func (e *exchangeError) Unwrap() error { return e.err }
func (e *exchangeError) Timeout() bool { return timedOut(e.err) }

// certificate is one that a server has shown, and when.
type certificate struct {
	cert *x509.Certificate
	at   time.Time
}

// failure returns the error of the exchange.
func (e *exchange) failure(err error) *exchangeError {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := &exchangeError{stage: e.stage, host: e.host, addr: e.addr, proxy: e.proxy, credentials: e.credentials, secrets: e.secrets, err: err}
	if of, ok := errors.AsType[*addressError](err); ok {
		x.addr, x.tried, x.stage = of.addr, of.tried, of.stage
	}
	op, _ := errors.AsType[*net.OpError](err)
	// An error before the proxy has answered CONNECT is one between this host and the proxy; so is one in the handshake with
	// a proxy of https://.
	x.atProxy = e.proxy != "" && (x.stage <= stageProxy || op != nil && op.Op == "proxyconnect" || isRefusal(err))
	return x
}

// answerBody is the body of an answer. It ends the time of its request when it is closed.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelFunc
	failed func(error) error
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = b.failed(err)
	}
	return n, err
}

func (b *answerBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// proxyRefusal is the answer of a proxy that does not open a connection to the server.
type proxyRefusal struct {
	status int
	text   string
}

func (e *proxyRefusal) Error() string { return "the proxy answers " + e.text }

func isRefusal(err error) bool {
	_, ok := errors.AsType[*proxyRefusal](err)
	return ok
}

// announceProxy records that a proxy is asked for a connection.
func announceProxy(ctx context.Context, _ *url.URL, _ string) (http.Header, error) {
	exchangeOf(ctx).reach(stageProxy, netip.AddrPort{})
	return nil, nil
}

// checkProxyAnswer makes a refusal of a proxy an error of its own.
func checkProxyAnswer(ctx context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &proxyRefusal{resp.StatusCode, resp.Status}
	}
	exchangeOf(ctx).reach(stageHandshake, netip.AddrPort{})
	return nil
}

// timedOut reports whether err is a timeout, of this program or of the system.
func timedOut(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// isStall reports whether err is that of a connection on which nothing came: the time of the request passed, or that of
// the ping of an HTTP/2 connection.
func isStall(err error) bool {
	return timedOut(err) || strings.Contains(err.Error(), "client connection lost")
}

// isCertificate reports whether err is a certificate that was not accepted.
func isCertificate(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// isNoTLS reports whether err is that of an answer that is not TLS at all.
func isNoTLS(err error) bool {
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

// isTLS reports whether err comes from TLS itself, and not from a layer below.
func isTLS(err error) bool {
	if isNoTLS(err) || isCertificate(err) {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" || strings.Contains(err.Error(), "tls: ")
}

// ProxyAddress returns the host and port of a proxy, without its password, which must not be shown.
func ProxyAddress(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// secretsOf returns what no text may contain: the password of a proxy, in each form in which it is sent.
func secretsOf(u *url.URL) []string {
	password, ok := u.User.Password()
	if !ok || password == "" {
		return nil
	}
	return []string{
		base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password)),
		password, url.QueryEscape(password), url.PathEscape(password),
	}
}
