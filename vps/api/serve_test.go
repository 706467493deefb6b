package api

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/listener"
	"sunspool/vps/request"
)

func TestSlowCallersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		s := &Server{Gate: request.Gate{Tokens: mustTokens(t), Log: slog.New(slog.DiscardHandler)}}
		done := make(chan error, 1)
		go func() { done <- listener.Serve(ctx, l, nil, s.Handler(), s.Log) }()

		for name, slow := range map[string]struct {
			head  string        // sent at once, then a byte every second
			limit time.Duration // until it must be closed
		}{
			"nothing":  {"", 5 * time.Second},
			"headers":  {"GET /health HTTP/1.1\r\nHost: x\r\nX: ", 5 * time.Second},
			"body":     {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token1 + "\r\nContent-Length: 1000000\r\n\r\n", 15 * time.Second},
			"no token": {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", 15 * time.Second},
			"idle":     {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 151 * time.Second},
		} {
			conn, began := l.Dial(), time.Now()
			var drip sync.WaitGroup
			drip.Go(func() {
				io.WriteString(conn, slow.head)
				for name != "idle" && name != "nothing" {
					time.Sleep(time.Second) // virtual
					if _, err := conn.Write([]byte(" ")); err != nil {
						return
					}
				}
			})
			io.Copy(io.Discard, conn) // until the server closes
			if took := time.Since(began); took > slow.limit+time.Second {
				t.Errorf("%s: closed after %v", name, took)
			}
			conn.Close()
			drip.Wait()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func mustTokens(t *testing.T) *auth.Tokens {
	t.Helper()
	tokens, err := auth.ParseTokens(token1+":inv-1", "")
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestHeadersAreBoundedAndSmugglingIsRefused(t *testing.T) {
	b := newBench(t)
	l := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- listener.Serve(ctx, l, nil, b.api, b.Log) }()
	for name, test := range map[string]struct {
		request string
		want    string
	}{
		"big header":       {"GET /health HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", "431"},
		"two lengths":      {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"},
		"malformed length": {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx", "400"},
		"bad chunking":     {"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", "501"},
		"two hosts":        {"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
		"HTTP/2 preface":   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404"}, // a request like others: nothing upgrades
		"fine":             {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "200"},
	} {
		conn := l.Dial()
		go io.WriteString(conn, test.request)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+test.want) {
			t.Errorf("%s: %q %v, want %s", name, line, err, test.want)
		}
		conn.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
