package vpstest

import (
	"net"
	"net/netip"
)

// Pipes is a listener inside a synctest bubble, where time passes only when all wait.
type Pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func NewPipes() *Pipes { return &Pipes{make(chan net.Conn), make(chan struct{})} }

func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *Pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}
func (p *Pipes) Addr() net.Addr { return &net.TCPAddr{} }
func (p *Pipes) Dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// DialFrom connects as a client at that address.
func (p *Pipes) DialFrom(address string) net.Conn {
	client, server := net.Pipe()
	p.conns <- addressed{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}
	return client
}

// addressed is a pipe whose other end has an address.
type addressed struct {
	net.Conn
	remote net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.remote }
