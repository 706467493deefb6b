package vps

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// guests is a listener that has at most max connections open. When all places are taken, a new caller gets that of the
// oldest stranger, one whose requests had no good token: so slow callers, however many, keep nobody out who has a
// token to show. Without strangers it gets the place of who has been idle longest, which costs that one a new connection.
// Who is being served is never put out; when all are, the new caller waits.
type guests struct {
	net.Listener
	max int
	log *slog.Logger

	mu     sync.Mutex
	left   sync.Cond // a guest left or became idle, or the listener was closed
	here   map[*guest]struct{}
	closed bool
	putOut int       // since this was logged
	logged time.Time // when
}

// trust is how good a guest is.
type trust int

const (
	stranger trust = iota // has no good token, as far as is known
	idle                  // its last request had a good token
	served                // a request with a good token is being answered
)

// guest is one connection. Its fields are guarded by its house's mu.
type guest struct {
	net.Conn
	house *guests
	trust trust
	since time.Time // when it became that
}

func newGuests(l net.Listener, max int, log *slog.Logger) *guests {
	h := &guests{Listener: l, max: max, log: log, here: map[*guest]struct{}{}}
	h.left.L = &h.mu
	return h
}

func (h *guests) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.here) >= h.max && !h.closed {
		if g := h.least(); g != nil {
			delete(h.here, g)
			g.Conn.Close()
			h.report()
		} else {
			h.left.Wait()
		}
	}
	if h.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	g := &guest{Conn: conn, house: h, since: time.Now()}
	h.here[g] = struct{}{}
	return g, nil
}

// least returns the guest that a new caller may take the place of, nil when there is none.
func (h *guests) least() (least *guest) {
	for g := range h.here {
		if g.trust == served {
			continue
		}
		if least == nil || g.trust < least.trust || g.trust == least.trust && g.since.Before(least.since) {
			least = g
		}
	}
	return least
}

// report says that somebody was put out, at most once a minute.
func (h *guests) report() {
	h.putOut++
	if now := time.Now(); now.Sub(h.logged) >= time.Minute {
		h.log.Warn("all connections were taken, the least trusted are closed for new ones", "connections", h.max, "closed", h.putOut)
		h.putOut, h.logged = 0, now
	}
}

func (h *guests) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.left.Broadcast()
	return h.Listener.Close()
}

func (g *guest) Close() error {
	g.house.mu.Lock()
	delete(g.house.here, g)
	g.house.mu.Unlock()
	g.house.left.Signal()
	return g.Conn.Close()
}

// become notes what a guest is now. A connection that does not come from guests, as in a test, is nil and stays unknown.
func (g *guest) become(t trust) {
	if g == nil {
		return
	}
	g.house.mu.Lock()
	defer g.house.mu.Unlock()
	if t == idle && g.trust == stranger || t == g.trust {
		return // idleness makes no friend, and another request of a stranger makes it no younger
	}
	g.trust, g.since = t, time.Now()
	if t != served {
		g.house.left.Signal()
	}
}

type guestKey struct{}

// withGuest and changed are the hooks of an http.Server that listens on guests.
func withGuest(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, guestKey{}, guestOf(conn))
}

func changed(conn net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		guestOf(conn).become(idle)
	}
}

func guestOf(conn net.Conn) *guest {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	g, _ := conn.(*guest)
	return g
}

// guest is the connection on which c came.
func (c *call) guest() *guest {
	g, _ := c.r.Context().Value(guestKey{}).(*guest)
	return g
}
