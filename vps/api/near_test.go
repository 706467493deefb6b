package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"sunspool/vps/auth"
	"sunspool/wire"
)

// What is for an orchestrator is nothing to a caller from the internet, whatever it claims.
func TestHealthIsForNearbyCallersAlone(t *testing.T) {
	const far, far6 = "203.0.113.7", "2001:db8::7"
	for _, c := range []struct {
		remote, local string
		trusted       []string
		forwarded     []string
		near          bool
	}{
		{remote: "127.0.0.1", near: true}, {remote: "::1", near: true}, {remote: "10.1.2.3", near: true}, {remote: "172.17.0.1", near: true},
		{remote: "192.168.1.2", near: true}, {remote: "fd00::7", near: true}, {remote: "fe80::7%eth0", near: true}, {remote: "169.254.1.1", near: true},
		{remote: "100.64.3.4", near: true}, {remote: "::ffff:10.1.2.3", near: true},
		{remote: far}, {remote: far6}, {remote: "192.0.2.1"}, {remote: "172.32.0.1"}, {remote: "100.128.0.1"}, {remote: "::ffff:" + far}, {remote: "11.0.0.1"},

		// Nobody comes nearer by a header.
		{remote: far, forwarded: []string{"127.0.0.1"}}, {remote: far, forwarded: []string{"10.0.0.1, 10.0.0.2"}},
		{remote: far, forwarded: []string{"::1"}, trusted: []string{"10.0.0.0/8"}},

		// Behind a proxy it is the client that counts; the proxy itself may ask, from a public address too.
		{remote: "172.31.87.2", trusted: []string{"172.31.87.0/24"}, near: true},
		{remote: "172.31.87.2", trusted: []string{"172.31.87.0/24"}, forwarded: []string{"192.168.1.9"}, near: true},
		{remote: "172.31.87.2", trusted: []string{"172.31.87.0/24"}, forwarded: []string{far}},
		{remote: "172.31.87.2", trusted: []string{"172.31.87.0/24"}, forwarded: []string{"127.0.0.1, " + far}},
		{remote: "172.31.87.2", trusted: []string{"172.31.87.0/24"}, forwarded: []string{far, "127.0.0.1"}},
		{remote: "172.31.87.2", trusted: []string{"172.31.87.0/24"}, forwarded: []string{"unknown"}},
		{remote: "172.31.87.2", trusted: []string{"172.31.87.0/24"}, forwarded: []string{""}},
		{remote: "198.51.100.4", trusted: []string{"198.51.100.0/24"}, near: true},
		{remote: "198.51.100.4", trusted: []string{"198.51.100.0/24"}, forwarded: []string{far}},
		{remote: "198.51.100.4", trusted: []string{"198.51.100.0/24"}, forwarded: []string{"127.0.0.1, " + far}},

		// A proxy that is not known here brings its clients, too.
		{remote: "127.0.0.1", forwarded: []string{far}}, {remote: "10.0.0.2", forwarded: []string{"10.0.0.1, " + far6}},
		{remote: "127.0.0.1", forwarded: []string{"192.168.1.9:4711"}, near: true},

		// A host that has nothing but a public address asks itself: the check of a container, systemd's watchdog.
		{remote: far, local: far, near: true}, {remote: far6, local: far6, near: true}, {remote: far, local: "203.0.113.8"},
		{remote: far, local: far, forwarded: []string{"203.0.113.8"}},
	} {
		trusted, err := auth.ParseProxies(c.trusted)
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, func(s *Server) { s.Proxies = trusted })
		for _, path := range []string{wire.HealthPath, wire.ReadyPath} {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = net.JoinHostPort(c.remote, "4711")
			if c.local != "" {
				local := &net.TCPAddr{IP: net.ParseIP(c.local), Port: 8000}
				r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
			}
			for _, line := range c.forwarded {
				r.Header.Add("X-Forwarded-For", line)
			}
			w, want := httptest.NewRecorder(), http.StatusNotFound
			if c.near {
				want = http.StatusOK
			}
			b.api.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s of %+v: %d, want %d", path, c, w.Code, want)
			}
			if nowhere := b.get("/nowhere", ""); want == 404 && w.Body.String() != nowhere.Body.String() {
				t.Errorf("%s is not as what is not there: %s, %s", path, w.Body, nowhere.Body)
			}
			w = httptest.NewRecorder()
			if b.Internal().ServeHTTP(w, r); w.Code != http.StatusOK {
				t.Errorf("%s of %+v on INTERNAL_ADDR: %d", path, c, w.Code)
			}
		}
	}
}
