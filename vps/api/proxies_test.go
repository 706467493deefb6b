package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sunspool/vps/auth"
	"sunspool/wire"
)

// Behind a proxy, who guesses tokens is slowed and nobody else is, and the guesser cannot get out of it by making up
// addresses.
func TestGuessesAreCountedByClientBehindAProxy(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Proxies, _ = auth.ParseProxies([]string{"172.30.0.0/16"}) })
	guess := func(forwarded string) int {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { r.RemoteAddr = "172.30.0.2:99"; b.api.ServeHTTP(w, r) })
		return do(h, "POST", wire.IngestPath, "guess", nil, "X-Forwarded-For", forwarded).Code
	}
	for i := range 2 * auth.MaxFailures {
		want := 401
		if i >= auth.MaxFailures {
			want = 429
		}
		if got := guess(fmt.Sprintf("203.0.113.%d, 198.51.100.7", i)); got != want {
			t.Fatalf("guess %d: %d, want %d", i, got, want)
		}
	}
	if got := guess("198.51.100.8"); got != 401 {
		t.Errorf("another client of the same proxy: %d", got)
	}
	if log := b.log.String(); !strings.Contains(log, `"remote":"198.51.100.7"`) || strings.Contains(log, "203.0.113.") {
		t.Errorf("the log names somebody else:\n%.500s", log)
	}
}
