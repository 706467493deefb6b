package transport

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
)

// Interrupted is the error of a request that failed after it had a connection. It may have reached the server, and it may
// have been too large for the path to it.
type Interrupted struct{ Err error }

func (e *Interrupted) Error() string { return e.Err.Error() }
func (e *Interrupted) Unwrap() error { return e.Err }

// Connection is the connection of a request. The transport calls its methods from goroutines of its own, also after the
// request is over.
type Connection struct {
	mu      sync.Mutex
	dialing bool
	conn    net.Conn
}

// Trace returns a context for a request, by which its connection is recorded.
func (c *Connection) Trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { c.set(nil, true) },
		GotConn: func(info httptrace.GotConnInfo) { c.set(info.Conn, false) },
	})
}

func (c *Connection) set(conn net.Conn, dialing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.dialing = conn, dialing
}

// Close ends the connection: a router that restarts forgets its connections silently, and the next request over the
// same HTTP/2 connection would wait for its whole timeout again.
func (c *Connection) Close() {
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

// Fail closes the connection of a request that failed with err.
func (c *Connection) Fail(err error) error {
	c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialing {
		return err
	}
	return &Interrupted{err}
}
