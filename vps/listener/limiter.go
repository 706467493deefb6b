package listener

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"sunspool/vps/auth"
)

// limiter is a listener that has at most max connections open. When all are in use, a new one replaces the oldest
// unauthenticated one, of the address that has most of those: so slow callers, however many, do not block others. Connections
// with a good token never take the last quarter, and those of one token never more than a quarter. Beyond that a connection
// of the token that has most is evicted: an idle one if there is any, which costs its client a new connection, else the one
// with the oldest request. If all are active, Accept waits.
type limiter struct {
	net.Listener
	max int
	log *slog.Logger

	mu      sync.Mutex
	left    sync.Cond // a connection ended or became idle, or the listener was closed
	open    map[*Conn]struct{}
	known   map[party]int // connections that are idle or active
	closed  bool
	evicted int       // since the last line of the log
	logged  time.Time // time of that line
}

// activity is what a connection is used for.
type activity int

const (
	unauthenticated activity = iota // its last request had no good token, or there was none
	idle                            // its last request had a good token
	active                          // a request with a good token is being answered
)

// party is the owner of a connection: the token of its last request, or, where that was not good, the network of its
// client. That is the proxy's until a request shows the client of a trusted proxy.
type party struct {
	token   auth.TokenSum
	network netip.Prefix
}

// Conn is one connection. Its fields are guarded by its limiter's mu.
type Conn struct {
	net.Conn
	limiter *limiter
	state   activity
	since   time.Time // when it became that
	owner   party
}

// acceptGrace is how long a new connection is not evicted, so that a request that is on its way is read: a busy server reads
// it only after many others have arrived. With 512 connections 5,000 a second may come, and more wait in the system.
const acceptGrace = 100 * time.Millisecond

func newLimiter(l net.Listener, max int, log *slog.Logger) *limiter {
	m := &limiter{Listener: l, max: max, log: log, open: map[*Conn]struct{}{}, known: map[party]int{}}
	m.left.L = &m.mu
	return m
}

func (l *limiter) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: raw, limiter: l, owner: party{network: auth.NetworkOf(raw.RemoteAddr().String())}}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.open) >= l.max && !l.closed {
		switch other := l.leastUseful(); {
		case other == nil:
			l.left.Wait()
		case other.state == unauthenticated && time.Since(other.since) < acceptGrace:
			l.mu.Unlock()
			time.Sleep(acceptGrace - time.Since(other.since))
			l.mu.Lock()
		default:
			l.evict(other)
		}
	}
	if l.closed {
		raw.Close()
		return nil, net.ErrClosed
	}
	c.since = time.Now()
	l.open[c] = struct{}{}
	return c, nil
}

// leastUseful returns the connection that a new one may replace, nil when there is none.
func (l *limiter) leastUseful() *Conn {
	strangers := map[party]int{}
	for c := range l.open {
		if c.state == unauthenticated {
			strangers[c.owner]++
		}
	}
	if len(strangers) > 0 {
		return l.oldestOfMost(strangers, nil, func(c *Conn) bool { return c.state == unauthenticated })
	}
	return l.oldestIdle(nil)
}

// oldestIdle returns an idle connection, of the owner that has most of all kinds among those with an idle one.
func (l *limiter) oldestIdle(except *Conn) *Conn {
	return l.oldestOfMost(l.known, except, func(c *Conn) bool { return c.state == idle })
}

// oldestOfMost returns, of the connections in question, one of the owner that has most; of all those the oldest.
func (l *limiter) oldestOfMost(counts map[party]int, except *Conn, which func(*Conn) bool) *Conn {
	most := 0
	for c := range l.open {
		if c != except && which(c) {
			most = max(most, counts[c.owner])
		}
	}
	return l.oldest(except, func(c *Conn) bool { return which(c) && counts[c.owner] == most })
}

// few is how many connections a token may have that are not evicted for a request of another token.
const few = 4

// makeRoom closes another connection if that of c, which became active, is one too many of those with a good token.
func (l *limiter) makeRoom(c *Conn) {
	limit, share, most := l.max-l.max/4, max(1, l.max/4), c.owner
	if l.known[c.owner] <= share {
		total := 0
		for _, n := range l.known {
			total += n
		}
		if total <= limit {
			return
		}
		most = mostOf(l.known, c.owner)
	}
	var other *Conn
	if n := l.known[most]; n > share || n > max(min(few, share), limit/len(l.known)) {
		if other = l.oldest(c, func(c *Conn) bool { return c.state == idle && c.owner == most }); other == nil {
			other = l.oldest(c, func(c *Conn) bool { return c.state == active && c.owner == most })
		}
	} else {
		other = l.oldestIdle(c)
	}
	if other != nil {
		l.evict(other)
	}
}

// mostOf returns the owner of most; of several, preferred if it is one of them.
func mostOf(counts map[party]int, preferred party) (most party) {
	most = preferred
	for owner, n := range counts {
		if n > counts[most] {
			most = owner
		}
	}
	return most
}

func (l *limiter) oldest(except *Conn, which func(*Conn) bool) (oldest *Conn) {
	for c := range l.open {
		if c != except && which(c) && (oldest == nil || c.since.Before(oldest.since)) {
			oldest = c
		}
	}
	return oldest
}

// evict closes a connection, and logs so at most once a minute.
func (l *limiter) evict(c *Conn) {
	l.remove(c)
	c.Conn.Close()
	l.evicted++
	if now := time.Now(); now.Sub(l.logged) >= time.Minute {
		l.log.Warn("connections are short: closed those without a good token, or of the token that has most", "connections", l.max, "closed", l.evicted)
		l.evicted, l.logged = 0, now
	}
}

// setState changes the state of c, and remove deletes c; both maintain known.
func (l *limiter) setState(c *Conn, state activity, owner party) {
	l.forget(c)
	if state != c.state {
		c.since = time.Now()
	}
	c.state, c.owner = state, owner
	if state != unauthenticated {
		l.known[owner]++
	}
	if state != active {
		l.left.Signal()
	}
}

func (l *limiter) remove(c *Conn) {
	if _, open := l.open[c]; open {
		delete(l.open, c)
		l.forget(c)
		l.left.Signal()
	}
}

func (l *limiter) forget(c *Conn) {
	if c.state == unauthenticated {
		return
	}
	if l.known[c.owner]--; l.known[c.owner] == 0 {
		delete(l.known, c.owner)
	}
}

func (l *limiter) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.left.Broadcast()
	return l.Listener.Close()
}

func (c *Conn) Close() error {
	c.limiter.mu.Lock()
	c.limiter.remove(c)
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// change calls f for a connection that is still open. c is nil for one that does not come from a limiter, as in a test.
func (c *Conn) change(f func(*limiter)) {
	if c == nil {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	if _, open := c.limiter.open[c]; open {
		f(c.limiter)
	}
}

// Begin records that a request of a client in that network begins, whose token is not checked yet.
func (c *Conn) Begin(from netip.Prefix) {
	c.change(func(*limiter) {
		if c.state == unauthenticated {
			c.owner.network = from
		}
	})
}

// SetActive records that a request with a good token is being answered.
func (c *Conn) SetActive(token auth.TokenSum) {
	c.change(func(l *limiter) {
		l.setState(c, active, party{token: token})
		l.makeRoom(c)
	})
}

// SetUnauthenticated records that the request has no good token. Another such request does not change the connection's age.
func (c *Conn) SetUnauthenticated(from netip.Prefix) {
	c.change(func(l *limiter) { l.setState(c, unauthenticated, party{network: from}) })
}

// SetIdle records that no request of the connection is in flight. An unauthenticated connection stays unauthenticated.
func (c *Conn) SetIdle() {
	c.change(func(l *limiter) {
		if c.state == active {
			l.setState(c, idle, c.owner)
		}
	})
}

type connKey struct{}

// withConn and changed are the hooks of an http.Server that listens on a limiter.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, unwrap(c))
}

// ConnOf returns the connection on which a request came, nil if it did not come through a limiter.
func ConnOf(request context.Context) *Conn {
	limited, _ := request.Value(connKey{}).(*Conn)
	return limited
}

func changed(c net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		unwrap(c).SetIdle()
	}
}

func unwrap(c net.Conn) *Conn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	limited, _ := c.(*Conn)
	return limited
}
