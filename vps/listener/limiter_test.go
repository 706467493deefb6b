package listener

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/vpstest"
	"sunspool/vps/auth"
)

// harness is a server on pipes with few connections, which reports its requests to the limiter as the API does. Good tokens
// are those of tokenOf. A request for /wait is served until release, /open needs no token.
type harness struct {
	t       *testing.T
	pipes   *vpstest.Pipes
	log     *vpstest.LogBuffer
	release chan struct{}
	limiter *limiter
}

const goodOne = "good-token-0123456789abcdef-0"

func tokenOf(i int) string { return fmt.Sprint("good-token-0123456789abcdef-", i) }

func open(t *testing.T, most int) *harness {
	return openOn(t, func(h *harness) net.Listener {
		h.limiter = newLimiter(h.pipes, most, slog.New(slog.NewJSONHandler(h.log, nil)))
		return h.limiter
	})
}

// openOn is open with a listener on the pipes that need not be a limiter.
func openOn(t *testing.T, on func(*harness) net.Listener) *harness {
	h := &harness{t: t, pipes: vpstest.NewPipes(), log: new(vpstest.LogBuffer), release: make(chan struct{})}
	good := map[string]bool{}
	for i := range 40 {
		good[tokenOf(i)] = true
	}
	trusted := auth.Proxies{netip.MustParsePrefix("10.0.0.9/32")}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, from, token := ConnOf(r.Context()), auth.NetworkOf(trusted.Client(r)), auth.Bearer(r)
		c.Begin(from)
		switch {
		case r.URL.Path == "/open":
			return
		case !good[token]:
			c.SetUnauthenticated(from)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c.SetActive(auth.SumOf(token))
		switch r.URL.Path {
		case "/wait":
			<-h.release
		case "/upload":
			io.Copy(io.Discard, r.Body)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	l := on(h)
	go func() { done <- serve(ctx, l, nil, handler, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

// client is one connection to a harness.
type client struct {
	net.Conn
	r       *bufio.Reader
	headers string // lines
}

func (h *harness) connect() *client { return h.connectFrom("192.0.2.1:1") }

func (h *harness) connectFrom(address string) *client {
	conn := h.pipes.DialFrom(address)
	h.t.Cleanup(func() { conn.Close() })
	synctest.Wait()
	time.Sleep(time.Millisecond) // virtual: the next one is younger
	return &client{conn, bufio.NewReader(conn), ""}
}

// ask returns the status of the answer, 0 when the connection is closed.
func (v *client) ask(path, token string) int {
	fmt.Fprintf(v, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n", path, token, v.headers)
	answer, err := http.ReadResponse(v.r, nil)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, answer.Body)
	time.Sleep(time.Millisecond) // virtual: the server is idle again
	return answer.StatusCode
}

func TestNewConnectionReplacesTheOldestUnauthenticatedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 4)
		known, old, wrong, young := h.connect(), h.connect(), h.connect(), h.connect()
		for name, got := range map[string]int{"known": known.ask("/fast", goodOne) - 200,
			"open to all": old.ask("/open", "") - 200, "wrong token": wrong.ask("/fast", "bad") - 401, "no token": young.ask("/fast", "") - 401} {
			if got != 0 {
				t.Fatalf("%s: %+d", name, got)
			}
		}
		if newcomer := h.connect(); newcomer.ask("/fast", tokenOf(1)) != 200 {
			t.Error("a newcomer with a good token is not served")
		}
		if got := old.ask("/open", ""); got != 0 {
			t.Errorf("the oldest unauthenticated connection is still there: %d", got)
		}
		if got := wrong.ask("/open", ""); got != 200 {
			t.Errorf("a younger unauthenticated connection was evicted: %d", got)
		}
		h.connect()
		if got := wrong.ask("/open", ""); got != 0 {
			t.Errorf("a wrong token was an authentication: %d", got)
		}
		if got := known.ask("/fast", goodOne); got != 200 {
			t.Errorf("a known was evicted for a unauthenticated connection: %d", got)
		}
		if n := strings.Count(h.log.String(), "connections are short"); n != 1 {
			t.Errorf("two were evicted in a minute, logged %d times", n)
		}
	})
}

// TestConnectionLosesItsPrivilegeByAWrongToken: a proxy uses one connection for many callers.
func TestConnectionLosesItsPrivilegeByAWrongToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 2)
		first, second := h.connect(), h.connect()
		if first.ask("/fast", goodOne) != 200 || second.ask("/fast", tokenOf(1)) != 200 || second.ask("/fast", "bad") != 401 {
			t.Fatal("not answered")
		}
		h.connect()
		time.Sleep(acceptGrace)
		synctest.Wait()
		if second.ask("/fast", goodOne) != 0 || first.ask("/fast", goodOne) != 200 {
			t.Error("the known was evicted, not the one that had a wrong token last")
		}
	})
}

// A new connection has a moment for its request, also while others come one after the other.
func TestNewConnectionIsNotEvictedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 4)
		h.connect()
		time.Sleep(acceptGrace / 2)
		ours := h.connect()
		for range 6 { // more than there is room for
			go h.pipes.DialFrom("192.0.2.1:1")
		}
		time.Sleep(acceptGrace / 4)
		if got := ours.ask("/fast", goodOne); got != 200 {
			t.Errorf("a connection that is %v old got %d", acceptGrace/4, got)
		}
		time.Sleep(time.Second) // all get in
	})
}

// An idle connection is evicted for a new one, one that is being served does not, unless its token has most.
func TestIdleConnectionIsEvictedForANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 4)
		busy, known, other := h.connect(), h.connect(), h.connect()
		answer := busy.later("/wait", tokenOf(0))
		if known.ask("/fast", tokenOf(1)) != 200 || other.ask("/fast", tokenOf(2)) != 200 {
			t.Fatal("not answered")
		}
		if newcomer := h.connect(); newcomer.ask("/fast", tokenOf(3)) != 200 {
			t.Error("a newcomer is not served")
		}
		if known.ask("/fast", tokenOf(1)) != 0 {
			t.Error("the oldest idle connection was not evicted")
		}
		if got := other.ask("/fast", tokenOf(2)); got != 200 {
			t.Errorf("a younger one lost its own: %d", got)
		}
		close(h.release)
		if got := <-answer; got != 200 {
			t.Errorf("the one that was served got %d", got)
		}
	})
}

// later asks and returns where the status will be.
func (v *client) later(path, token string) <-chan int {
	answer := make(chan int, 1)
	go func() { answer <- v.ask(path, token) }()
	synctest.Wait()
	time.Sleep(time.Millisecond)
	return answer
}

// slow sends the head of a request and a part of its body.
func (v *client) slow(method, path, token string) {
	fmt.Fprintf(v, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 5000\r\n\r\n{", method, path, token)
	synctest.Wait()
	time.Sleep(time.Millisecond)
}

// A proxy keeps connections for its next request, Caddy for 2 min. The server must not be the one that closes them, or a
// request that is on its way at that moment gets no answer.
func TestIdleConnectionOutlivesThatOfAnyProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 4)
		proxy := h.connect()
		for _, idle := range []time.Duration{60 * time.Second, 90 * time.Second, 2 * time.Minute, 149 * time.Second} {
			if got := proxy.ask("/fast", goodOne); got != 200 {
				t.Fatalf("not answered: %d", got)
			}
			time.Sleep(idle)
			if got := proxy.ask("/fast", goodOne); got != 200 {
				t.Errorf("a connection was closed that had been idle for %v: %d", idle, got)
			}
		}
		time.Sleep(152 * time.Second)
		if got := proxy.ask("/fast", goodOne); got != 0 {
			t.Error("an idle connection is never closed")
		}
	})
}

// Connections that stay idle for long cost a new caller no time when they are all that there may be, and neither do those
// that never sent a request.
func TestIdleConnectionsDelayNoNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 20
		h := open(t, most)
		var silent *client
		for i := range most {
			v := h.connect()
			if i == 0 {
				silent = v
			} else if i < most/4 {
				continue
			} else if got := v.ask("/fast", tokenOf(i)); got != 200 {
				t.Fatalf("connection %d: %d", i, got)
			}
		}
		time.Sleep(time.Second)
		began := time.Now()
		for i := range 3 * most {
			if got := h.connect().ask("/fast", tokenOf(i%40)); got != 200 {
				t.Fatalf("caller %d behind idle connections: %d", i, got)
			}
		}
		if took := time.Since(began); took > 3*most*10*time.Millisecond {
			t.Errorf("%d callers behind idle connections took %v: they waited", 3*most, took)
		}
		if got := silent.ask("/fast", goodOne); got != 0 {
			t.Error("a connection without a request was not evicted")
		}
	})
}

// Stopping ends an Accept that waits for a connection to end.
func TestClosedLimiterEndsAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := vpstest.NewPipes()
		l := newLimiter(p, 1, slog.New(slog.DiscardHandler))
		first := dialTo(p, l)
		first.(*Conn).SetActive(auth.SumOf("a"))
		waits := make(chan error, 1)
		go func() { _, err := l.Accept(); waits <- err }()
		second := p.Dial()
		synctest.Wait()
		if len(waits) > 0 {
			t.Error("the only connection is served, and another one is accepted")
		}
		l.Close()
		if err := <-waits; err != net.ErrClosed {
			t.Error(err)
		}
		if _, err := second.Read(make([]byte, 1)); err == nil {
			t.Error("the one that waited is not closed")
		}
	})
}

// dialTo connects to l, which accepts from p, and returns the server's end.
func dialTo(p *vpstest.Pipes, l net.Listener) net.Conn {
	go p.Dial()
	conn, err := l.Accept()
	if err != nil {
		panic(err)
	}
	return conn
}
