package transport

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// What the tests that upload through a transport, which are a package of their own, see of its insides.
const (
	NextConnect    = nextConnect
	NextHandshake  = nextHandshake
	RequestTimeout = requestTimeout
)

// SetNameEvery has the name looked up more often than in life.
func (t *Transport) SetNameEvery(d time.Duration) { t.nameEvery = d }

// NameEvery returns how often the name is looked up.
func (t *Transport) NameEvery() time.Duration { return t.nameEvery }

// Worked makes addr the address that worked last.
func (t *Transport) Worked(addr netip.Addr) { t.paths.worked(addr) }

// SetProxied makes the present connection one through a proxy.
func (t *Transport) SetProxied() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connected.proxied = true
}

// Connected returns the address of the present connection, and whether it is that of a proxy.
func (t *Transport) Connected() (addr netip.AddrPort, proxied bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.connected.addr, t.connected.proxied
}

// Current returns what requests go through at present: another one after each renewal.
func (t *Transport) Current() *http.Transport { return t.current() }

// AllowReload lets the roots be read again before a minute has passed.
func (t *Transport) AllowReload() { t.roots.forceAt = time.Time{} }

// RootsProblem returns why the newest roots are not used.
func (t *Transport) RootsProblem() string { return t.roots.problem() }

// SecureByTLS makes the handshake the real one.
func (t *Transport) SecureByTLS() {
	t.Handshake = func(ctx context.Context, conn net.Conn, host string, protocols []string) (net.Conn, error) {
		return t.handshake(ctx, conn, host, protocols)
	}
}

// DialError is the error of a connection to host that failed with err.
func DialError(host string, err error) error { return &exchangeError{host: host, err: err} }
