package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// At home is who comes by an address and a name that only a home network gives, with nothing in between that is not in the
// settings. Everything that an attacker can choose is tried: the name, and every header.
func TestHome(t *testing.T) {
	trusted, err := ParseProxies([]string{"172.30.0.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	const near, far, proxy = "192.168.1.7:4711", "203.0.113.7:4711", "172.30.0.2:4711"
	for _, c := range []struct {
		remote, host string
		headers      http.Header
		old          bool // HTTP/1.0
		home         bool
	}{
		{remote: near, host: "solar.local", home: true},
		{remote: "[::ffff:192.168.1.7]:1", host: "solar.local", home: true}, {remote: "[fd00::7]:1", host: "[fd00::2]:8000", home: true},
		{remote: "[fe80::7%eth0]:1", host: "[fe80::2%eth0]", home: true}, {remote: "169.254.1.1:1", host: "169.254.1.2", home: true},
		{remote: "127.0.0.1:1", host: "localhost", home: true}, {remote: "[::1]:1", host: "[::1]:8000", home: true},
		{remote: "10.0.0.7:1", host: "solar.localhost", home: true}, {remote: "10.0.0.7:1", host: "solar.internal:1", home: true},
		{remote: far, host: "solar.local"}, {remote: "[2001:db8::7]:1", host: "solar.local"}, {remote: "100.64.0.1:1", host: "solar.local"},
		{remote: "[::ffff:203.0.113.7]:1", host: "solar.local"}, {remote: "172.32.0.1:1", host: "solar.local"}, {remote: "@", host: "solar.local"},
		{remote: "0.0.0.0:1", host: "solar.local"}, {remote: "[ff02::1]:1", host: "solar.local"},

		// Names that somebody else can have, or that a browser and this program read differently.
		{remote: near, host: "evil.thelocal"}, {remote: near, host: "evil.xlan"}, {remote: near, host: "local.evil"}, {remote: near, host: "lan.evil.example."},
		{remote: near, host: "192.168.1.2.nip.io"}, {remote: near, host: "127.1"}, {remote: near, host: "0300.0250.1.2"}, {remote: near, host: "0xc0.0xa8.1.2"},
		{remote: near, host: "2130706433"}, {remote: near, host: "0x7f000001"}, {remote: near, host: "017700000001"}, {remote: near, host: "0X7F000001"},
		{remote: near, host: "8.8.8.8"}, {remote: near, host: "[2001:db8::1]"}, {remote: near, host: "[::ffff:8.8.8.8]:80"}, {remote: near, host: "100.64.0.1"},
		{remote: near, host: "evil.example:80:.local"}, {remote: near, host: "evil.example/.local"}, {remote: near, host: "evil.example@solar.local"},
		{remote: near, host: "evil example.local"}, {remote: near, host: "solar.local:x"}, {remote: near, host: "solar:x"}, {remote: near, host: "[solar.local]:1"},
		{remote: near, host: ""}, {remote: near, host: "."}, {remote: near, host: ":8000"}, {remote: near, host: "evil.example\u3002local"}, {remote: near, host: "evil.ｌocal"}, {remote: near, host: "evil.local.."},

		// A proxy that nobody named, also behind an empty header of its client, or with no header at all.
		{remote: near, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"", "203.0.113.7"}}},
		{remote: near, host: "solar.local", headers: http.Header{"X-Forwarded-For": {""}}}, {remote: near, host: "solar.local", headers: http.Header{"X-Forwarded-Host": {"solar.local"}}},
		{remote: near, host: "solar.local", headers: http.Header{"X-Forwarded-Proto": {"https"}}}, {remote: near, host: "solar.local", headers: http.Header{"Forwarded": {""}}},
		{remote: near, host: "solar.local", headers: http.Header{"X-Real-Ip": {"10.0.0.1"}}}, {remote: near, host: "solar.local", headers: http.Header{"Via": {"1.1 x"}}},
		{remote: near, host: "solar.local", headers: http.Header{"Cf-Connecting-Ip": {"10.0.0.1"}}}, {remote: near, host: "solar.local", old: true},

		// One of the settings says for whom it asks, or nobody is at home.
		{remote: proxy, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"192.168.1.9"}}, home: true},
		{remote: proxy, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"192.168.1.9"}, "Via": {"1.1 x"}, "X-Forwarded-Proto": {"https"}}, old: true, home: true},
		{remote: proxy, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"172.30.0.9"}}, home: true},
		{remote: proxy, host: "solar.local"}, {remote: proxy, host: "solar.local", headers: http.Header{"X-Forwarded-For": {""}}},
		{remote: proxy, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"unknown"}}}, {remote: proxy, host: "solar.local", headers: http.Header{"X-Real-Ip": {"192.168.1.9"}}},
		{remote: proxy, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"unknown, 172.30.0.3"}}}, {remote: proxy, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"192.168.1.9, 203.0.113.7"}}},
		{remote: proxy, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"192.168.1.9", "203.0.113.7"}}},
		{remote: proxy, host: "solar.example.org", headers: http.Header{"X-Forwarded-For": {"192.168.1.9"}}},
		{remote: far, host: "solar.local", headers: http.Header{"X-Forwarded-For": {"192.168.1.9"}}},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.headers != nil {
			r.Header = c.headers
		}
		if c.old {
			r.ProtoMinor = 0
		}
		if got := trusted.Home(r); got != c.home {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
