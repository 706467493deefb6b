package probe

import (
	"context"
	"net"
	"slices"
	"time"
)

// timedLink measures how long connecting and answers take.
type timedLink struct {
	dial        func(ctx context.Context, network, address string) (net.Conn, error)
	connected   int
	connectTime time.Duration // the shortest
	times       []time.Duration
}

func (l *timedLink) connect(ctx context.Context, network, address string) (net.Conn, error) {
	begun := time.Now()
	conn, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if took := time.Since(begun); l.connected == 0 || took < l.connectTime {
		l.connectTime = took
	}
	l.connected++
	return &timedConn{Conn: conn, link: l}, nil
}

func (l *timedLink) median() time.Duration {
	if len(l.times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l.times))
	return sorted[len(sorted)/2]
}

// timedConn is a connection that takes the time from a request to the first byte of its answer.
type timedConn struct {
	net.Conn
	link  *timedLink
	asked time.Time
}

func (c *timedConn) Write(b []byte) (int, error) {
	c.asked = time.Now()
	return c.Conn.Write(b)
}

func (c *timedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.asked.IsZero() {
		c.link.times = append(c.link.times, time.Since(c.asked))
		c.asked = time.Time{}
	}
	return n, err
}
