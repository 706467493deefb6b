package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/listener"
	"sunspool/vps/request"
)

// openToBodies serves a few handlers behind the doors of the API, on pipes.
func openToBodies(t *testing.T) *pipes {
	s := &Server{Gate: request.Gate{Tokens: mustTokens(t), Log: slog.New(slog.DiscardHandler)}}
	s.init()
	mux := http.NewServeMux()
	mux.Handle("GET /fast", s.WithToken(func(*request.Request) (any, error) { return statusOK, nil }))
	mux.Handle("GET /open", s.Public(s.pages.Root))
	mux.Handle("POST /upload", s.WithUpload(func(c *request.Request) (any, error) {
		c.ReadWithin(listener.BodyLimit)
		_, err := io.Copy(io.Discard, c.HTTP.Body)
		c.Unread = err != nil
		return statusOK, err
	}))
	l := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- listener.Serve(ctx, l, nil, s.Middleware(mux), s.Log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

// A request whose body does not come is answered after a second, whatever it asks for, and its connection is closed.
func TestUnreadBodyHoldsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, token string
		want                int
	}{
		"a read": {"GET", "/fast", token1, 200}, "without a token": {"POST", "/upload", "", 401}, "a wrong token": {"POST", "/upload", "wrong", 401},
		"open to all": {"GET", "/open", "", 200}, "no such path": {"GET", "/nothing", token1, 404}, "no such method": {"PUT", "/fast", token1, 405},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := openToBodies(t).Dial()
				defer v.Close()
				began := time.Now()
				fmt.Fprintf(v, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 5000\r\n\r\n{", c.method, c.path, c.token)
				r := bufio.NewReader(v)
				answer, err := http.ReadResponse(r, nil)
				if err != nil || answer.StatusCode != c.want {
					t.Fatalf("%v %v", answer, err)
				}
				if took := time.Since(began); took > request.UnreadLimit+100*time.Millisecond {
					t.Errorf("answered after %v", took)
				}
				io.Copy(io.Discard, answer.Body)
				if _, err := r.ReadByte(); err == nil || time.Since(began) > 2*request.UnreadLimit+100*time.Millisecond {
					t.Errorf("still open after %v", time.Since(began))
				}
			})
		})
	}
}

// A body that arrives is read, so that the connection can be used again after an answer that did not want it.
func TestUnwantedBodyThatArrivesCostsNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := openToBodies(t).Dial()
		defer v.Close()
		r := bufio.NewReader(v)
		for range 3 {
			fmt.Fprintf(v, "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nContent-Length: 50000\r\n\r\n%s", strings.Repeat("x", 50000))
			answer, err := http.ReadResponse(r, nil)
			if err != nil || answer.StatusCode != 401 {
				t.Fatalf("%v %v", answer, err)
			}
			io.Copy(io.Discard, answer.Body)
			time.Sleep(2 * request.UnreadLimit)
		}
	})
}
