package edge

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
)

// interrupted is a request that came to nothing after it had a connection. It may have reached the server, and it may
// have been too large for the way there.
type interrupted struct{ error }

func (e *interrupted) Unwrap() error { return e.error }

// connection is the one that carries a request. The transport calls its methods from goroutines of its own, also after
// the request is over.
type connection struct {
	mu      sync.Mutex
	dialing bool
	conn    net.Conn
}

// trace returns a context for a request that is to be followed.
func (c *connection) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { c.set(nil, true) },
		GotConn: func(info httptrace.GotConnInfo) { c.set(info.Conn, false) },
	})
}

func (c *connection) set(conn net.Conn, dialing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.dialing = conn, dialing
}

// close ends the connection: a router that restarts forgets its connections silently, and the next request over the
// same HTTP/2 connection would wait for its whole timeout again.
func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch conn := c.conn.(type) {
	case nil:
	case *tls.Conn:
		conn.NetConn().Close() // at once: a Close of TLS waits until its last message is written
	default:
		conn.Close()
	}
}

// fail closes the connection of a request that failed with err.
func (c *connection) fail(err error) error {
	c.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialing {
		return err
	}
	return &interrupted{err}
}
