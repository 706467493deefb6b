package vps

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inn is a server on pipes with few places, whose good token is "good-0123456789abcdef". A request for /wait is served until release.
type inn struct {
	t       *testing.T
	pipes   *pipes
	log     *logBuffer
	release chan struct{}
}

func openInn(t *testing.T, places int) *inn {
	h := &inn{t: t, pipes: newPipes(), log: new(logBuffer), release: make(chan struct{})}
	tokens, err := ParseTokens("good-0123456789abcdef:inv-1", "")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Tokens: tokens, Log: slog.New(slog.DiscardHandler)}
	s.init()
	mux := http.NewServeMux()
	mux.Handle("GET /fast", s.withToken(func(*call) (any, error) { return statusOK, nil }))
	mux.Handle("GET /wait", s.withToken(func(*call) (any, error) { <-h.release; return statusOK, nil }))
	mux.Handle("GET /open", s.public(s.root))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	guests := newGuests(h.pipes, places, slog.New(slog.NewJSONHandler(h.log, nil)))
	go func() { done <- serve(ctx, guests, nil, s.around(mux), s.Log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

// visitor is one connection to a inn.
type visitor struct {
	net.Conn
	r *bufio.Reader
}

func (h *inn) visit() *visitor {
	conn := h.pipes.dial()
	h.t.Cleanup(func() { conn.Close() })
	synctest.Wait()
	time.Sleep(time.Millisecond) // virtual: the next one is younger
	return &visitor{conn, bufio.NewReader(conn)}
}

// ask returns the status of the answer, 0 when the connection is closed.
func (v *visitor) ask(path, token string) int {
	fmt.Fprintf(v, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
	answer, err := http.ReadResponse(v.r, nil)
	if err != nil {
		return 0
	}
	io.Copy(io.Discard, answer.Body)
	time.Sleep(time.Millisecond) // virtual: the server is idle again
	return answer.StatusCode
}

func TestNewCallerTakesThePlaceOfTheOldestStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openInn(t, 4)
		friend, old, wrong, young := h.visit(), h.visit(), h.visit(), h.visit()
		for name, got := range map[string]int{"friend": friend.ask("/fast", "good-0123456789abcdef") - 200,
			"open to all": old.ask("/open", "") - 200, "wrong token": wrong.ask("/fast", "bad") - 401, "no token": young.ask("/fast", "") - 401} {
			if got != 0 {
				t.Fatalf("%s: %+d", name, got)
			}
		}
		if newcomer := h.visit(); newcomer.ask("/fast", "good-0123456789abcdef") != 200 {
			t.Error("a newcomer with a good token is not served")
		}
		if got := old.ask("/open", ""); got != 0 {
			t.Errorf("the oldest stranger is still there: %d", got)
		}
		if got := wrong.ask("/open", ""); got != 200 {
			t.Errorf("a younger stranger was put out: %d", got)
		}
		h.visit()
		if got := wrong.ask("/open", ""); got != 0 {
			t.Errorf("a wrong token made a stranger more than that: %d", got)
		}
		if got := friend.ask("/fast", "good-0123456789abcdef"); got != 200 {
			t.Errorf("a friend was put out for a stranger: %d", got)
		}
		if n := strings.Count(h.log.String(), "all connections were taken"); n != 1 {
			t.Errorf("two were put out in a minute, said %d times", n)
		}
	})
}

// TestFriendThatTurnsStrangerLosesItsPrivilege: a proxy uses one connection for many callers.
func TestFriendThatTurnsStrangerLosesItsPrivilege(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openInn(t, 2)
		first, second := h.visit(), h.visit()
		if first.ask("/fast", "good-0123456789abcdef") != 200 || second.ask("/fast", "good-0123456789abcdef") != 200 || second.ask("/fast", "bad") != 401 {
			t.Fatal("not answered")
		}
		h.visit()
		if second.ask("/fast", "good-0123456789abcdef") != 0 || first.ask("/fast", "good-0123456789abcdef") != 200 {
			t.Error("the friend was put out, not the one that had a wrong token last")
		}
	})
}

// TestIdleFriendMakesPlaceButNobodyServedDoes, and when all are served a new caller waits for one of them.
func TestIdleFriendMakesPlaceButNobodyServedDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openInn(t, 2)
		busy, friend := h.visit(), h.visit()
		answers := make(chan int, 2)
		go func() { answers <- busy.ask("/wait", "good-0123456789abcdef") }()
		if friend.ask("/fast", "good-0123456789abcdef") != 200 {
			t.Fatal("not answered")
		}
		newcomer := h.visit()
		if friend.ask("/fast", "good-0123456789abcdef") != 0 {
			t.Error("an idle connection kept its place")
		}
		go func() { answers <- newcomer.ask("/wait", "good-0123456789abcdef") }()
		synctest.Wait()

		late := h.visit()
		lateAnswer := make(chan int, 1)
		go func() { lateAnswer <- late.ask("/fast", "good-0123456789abcdef") }()
		synctest.Wait()
		if len(lateAnswer) > 0 {
			t.Error("one too many is served")
		}
		close(h.release)
		for range 2 {
			if got := <-answers; got != 200 {
				t.Errorf("who was served got %d", got)
			}
		}
		if got := <-lateAnswer; got != 200 {
			t.Errorf("who waited got %d", got)
		}
	})
}

// A proxy keeps connections for its next request, Caddy for 2 min. The server must not be the one that closes them, or a
// request that is on its way at that moment gets no answer.
func TestIdleConnectionOutlivesThatOfAnyProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openInn(t, 4)
		proxy := h.visit()
		for _, idle := range []time.Duration{60 * time.Second, 90 * time.Second, 2 * time.Minute, 149 * time.Second} {
			if got := proxy.ask("/fast", "good-0123456789abcdef"); got != 200 {
				t.Fatalf("not answered: %d", got)
			}
			time.Sleep(idle)
			if got := proxy.ask("/fast", "good-0123456789abcdef"); got != 200 {
				t.Errorf("a connection was closed that had been idle for %v: %d", idle, got)
			}
		}
		time.Sleep(152 * time.Second)
		if got := proxy.ask("/fast", "good-0123456789abcdef"); got != 0 {
			t.Error("an idle connection is never closed")
		}
	})
}

// Connections that stay idle for long cost a new caller no time when they have taken every place, and neither do those
// that never sent a request.
func TestIdleConnectionsKeepNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 20
		h := openInn(t, places)
		var silent *visitor
		for i := range places {
			v := h.visit()
			if i == 0 {
				silent = v
			} else if got := v.ask("/fast", "good-0123456789abcdef"); got != 200 {
				t.Fatalf("connection %d: %d", i, got)
			}
		}
		time.Sleep(time.Second)
		began := time.Now()
		for i := range 3 * places {
			if got := h.visit().ask("/fast", "good-0123456789abcdef"); got != 200 {
				t.Fatalf("caller %d behind idle connections: %d", i, got)
			}
		}
		if took := time.Since(began); took > 3*places*10*time.Millisecond {
			t.Errorf("%d callers behind idle connections took %v: they waited", 3*places, took)
		}
		if got := silent.ask("/fast", "good-0123456789abcdef"); got != 0 {
			t.Error("a connection without a request kept its place")
		}
	})
}

// TestClosedHouseLetsNobodyWait: stopping ends an Accept that waits for a place.
func TestClosedHouseLetsNobodyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		h := newGuests(p, 1, slog.New(slog.DiscardHandler))
		first := p.dialTo(h)
		first.(*guest).become(served)
		waits := make(chan error, 1)
		go func() { _, err := h.Accept(); waits <- err }()
		second := p.dial()
		synctest.Wait()
		h.Close()
		if err := <-waits; err != net.ErrClosed {
			t.Error(err)
		}
		if _, err := second.Read(make([]byte, 1)); err == nil {
			t.Error("who waited is not told")
		}
	})
}

// dialTo connects to l, which accepts from p, and returns the server's end.
func (p *pipes) dialTo(l net.Listener) net.Conn {
	go p.dial()
	conn, err := l.Accept()
	if err != nil {
		panic(err)
	}
	return conn
}
