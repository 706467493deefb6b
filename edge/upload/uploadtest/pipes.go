package uploadtest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// Pipes is a network inside of a test: what dials gets a connection to what listens.
type Pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	Dials []*forgettable
}

// forgettable is a connection over a router that may forget it: then nothing passes any more, and neither end learns it.
type forgettable struct {
	net.Conn
	forgotten atomic.Bool
	closed    atomic.Bool
}

func (c *forgettable) Write(b []byte) (int, error) {
	if c.forgotten.Load() && !c.closed.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *forgettable) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

func NewPipes() *Pipes { return &Pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *Pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &forgettable{Conn: ours}
	p.Dials = append(p.Dials, c)
	return c, nil
}

// Forget is the router that restarts.
func (p *Pipes) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.Dials {
		c.forgotten.Store(true)
	}
}

func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *Pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (p *Pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

// End closes all connections.
func (p *Pipes) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.Dials {
		c.Close()
	}
}
