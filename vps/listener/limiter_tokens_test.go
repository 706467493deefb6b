package listener

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/auth"
)

// One token opens more connections than there are, each with an upload that never ends: it has a quarter, and new callers
// of others are served at once. Its own oldest are closed for its new ones.
func TestTokenHasAQuarterOfTheConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 40)
		good := h.connect()
		if good.ask("/fast", tokenOf(1)) != 200 {
			t.Fatal("not answered")
		}
		for range 60 {
			h.connect().slow("POST", "/upload", tokenOf(0))
		}
		h.limiter.mu.Lock()
		held := h.limiter.known[party{token: auth.SumOf(tokenOf(0))}]
		h.limiter.mu.Unlock()
		if held != 10 {
			t.Errorf("one token has %d of 40 connections", held)
		}
		began := time.Now()
		if fresh := h.connect(); fresh.ask("/fast", tokenOf(2)) != 200 || good.ask("/fast", tokenOf(1)) != 200 {
			t.Error("another token is not served")
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("others waited %v", took)
		}
	})
}

// Many tokens together take no more than three quarters, and one that has few keeps its own.
func TestManyTokensLeaveConnectionsToOneThatHasFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, 80)
		good := h.connect()
		if good.ask("/fast", tokenOf(30)) != 200 {
			t.Fatal("not answered")
		}
		answer := h.connect().later("/wait", tokenOf(30))
		for range 10 {
			for i := range 12 {
				h.connect().slow("POST", "/upload", tokenOf(i))
			}
		}
		h.limiter.mu.Lock()
		total := 0
		for _, n := range h.limiter.known {
			total += n
		}
		h.limiter.mu.Unlock()
		if total > 60 {
			t.Errorf("%d of 80 connections have a good token", total)
		}
		if got := good.ask("/fast", tokenOf(30)); got != 200 {
			t.Errorf("the idle one of a token with two: %d", got)
		}
		if got := h.connect().ask("/fast", tokenOf(31)); got != 200 {
			t.Errorf("a new one: %d", got)
		}
		close(h.release)
		if got := <-answer; got != 200 {
			t.Errorf("the busy one of a token with two: %d", got)
		}
	})
}

// Who sends no good token is evicted by address: those of a caller with many connections go first, behind a proxy too.
func TestAddressWithMostConnectionsIsEvictedFirst(t *testing.T) {
	for name, connect := range map[string]func(h *harness, from string) *client{
		"direct, an IPv6 host with many addresses": func(h *harness, from string) *client { return h.connectFrom(from) },
		"behind a proxy": func(h *harness, from string) *client {
			v := h.connectFrom("10.0.0.9:1")
			v.headers = "X-Forwarded-For: " + strings.Trim(strings.TrimSuffix(from, ":1"), "[]") + "\r\n"
			return v
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, 8)
				lone := connect(h, "[2001:db8:1::1]:1")
				if got := lone.ask("/open", ""); got != 200 {
					t.Fatal(got)
				}
				for i := range 20 {
					connect(h, fmt.Sprintf("[2001:db8:2::%x]:1", i+1)).ask("/open", "")
				}
				if got := lone.ask("/open", ""); got != 200 {
					t.Errorf("the only connection of an address was closed for the twentieth of another: %d", got)
				}
			})
		})
	}
}
