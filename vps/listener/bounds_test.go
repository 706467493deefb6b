package listener

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bounded is what golang.org/x/net/netutil.LimitListener does: when there are as many connections as there may be, Accept
// waits until one ends.
type bounded struct {
	net.Listener
	free chan struct{}
}

func (b bounded) Accept() (net.Conn, error) {
	b.free <- struct{}{}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return boundedConn{c, sync.OnceFunc(func() { <-b.free })}, nil
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// One client opens as many connections as there may be, and keeps them for as long as the timeouts of http.Server allow.
// A new caller waits for those timeouts where connections are only counted; the limiter closes one of them at once. If the
// server can do that itself one day, this test says so: then the limiter is not needed.
func TestHostileConnectionsLockOutNewCallersUnlessEvicted(t *testing.T) {
	const most = 16
	for name, hostile := range map[string]struct {
		do    func(*client)
		least time.Duration // that a plain bound makes a new caller wait
	}{
		"silent":                  {func(*client) {}, 4 * time.Second},
		"idle without a token":    {func(c *client) { c.ask("/open", "") }, 140 * time.Second},
		"idle with a wrong token": {func(c *client) { c.ask("/fast", "bad") }, 140 * time.Second},
		"idle with a good token":  {func(c *client) { c.ask("/fast", goodOne) }, 140 * time.Second},
		"upload that never ends":  {func(c *client) { c.slow("POST", "/upload", goodOne) }, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plain := openOn(t, func(h *harness) net.Listener { return bounded{h.pipes, make(chan struct{}, most)} })
				took := plain.delay(most, hostile.do)
				t.Logf("a plain bound: %v", took)
				if took < hostile.least {
					t.Errorf("behind a plain bound a new caller waits %v, less than %v: is the limiter needed?", took, hostile.least)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				took := open(t, most).delay(most, hostile.do)
				t.Logf("the limiter: %v", took)
				if took > time.Second {
					t.Errorf("a new caller waits %v", took)
				}
			})
		})
	}
}

// delay returns how long a new caller with a good token waits for its answer behind n others.
func (h *harness) delay(n int, others func(*client)) time.Duration {
	for range n {
		others(h.connect())
	}
	began := time.Now()
	if got := h.connect().ask("/fast", tokenOf(1)); got != 200 {
		h.t.Errorf("a new caller got %d", got)
	}
	return time.Since(began)
}
