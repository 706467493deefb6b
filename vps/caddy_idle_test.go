//go:build unix

package vps

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// What a client keeps open at Caddy is not kept open at the server: behind Caddy, connections that are silent or idle, however
// many, take none of the server's.
func TestCaddyKeepsIdleConnectionsToItself(t *testing.T) {
	const clients = 100
	var mu sync.Mutex
	open, most := 0, 0
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	api.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			open++
			most = max(most, open)
		case http.StateClosed:
			open--
		}
	}
	api.Start()
	t.Cleanup(api.Close)
	d := doorTo(t, strings.TrimPrefix(api.URL, "http://"))
	for i := range 2 * clients {
		conn, err := tls.Dial("tcp", d.address, d.config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 { // the others stay silent
			continue
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", d.address)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
	}
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d connections of clients, half of them idle, half silent: at most %d to the server", 2*clients, most)
	if most == 0 || most > clients/5 {
		t.Errorf("%d connections to the server", most)
	}
}
