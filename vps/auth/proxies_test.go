package auth

import (
	"net/http/httptest"
	"testing"
)

func TestClientIsTheLastHopThatIsNotOurProxy(t *testing.T) {
	trusted, err := ParseProxies([]string{"172.30.0.0/16", "192.0.2.9", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		remote    string
		forwarded []string // headers, in order
		want      string
	}{
		"no proxy":                         {"198.51.100.7:1", nil, "198.51.100.7"},
		"no proxy, spoofed":                {"198.51.100.7:1", []string{"203.0.113.1"}, "198.51.100.7"},
		"no proxy, claims to be one":       {"198.51.100.7:1", []string{"203.0.113.1, 172.30.0.2"}, "198.51.100.7"},
		"proxy":                            {"172.30.0.2:1", []string{"198.51.100.7"}, "198.51.100.7"},
		"proxy by its address":             {"192.0.2.9:1", []string{"198.51.100.7"}, "198.51.100.7"},
		"neighbour of that address":        {"192.0.2.10:1", []string{"198.51.100.7"}, "192.0.2.10"},
		"proxy says nothing":               {"172.30.0.2:1", nil, "172.30.0.2"},
		"spoofed, proxy appends":           {"172.30.0.2:1", []string{"203.0.113.1, 198.51.100.7"}, "198.51.100.7"},
		"spoofed in a header of its own":   {"172.30.0.2:1", []string{"203.0.113.1", "198.51.100.7"}, "198.51.100.7"},
		"spoofed as a proxy of ours":       {"172.30.0.2:1", []string{"203.0.113.1, 172.30.0.3, 198.51.100.7"}, "198.51.100.7"},
		"two proxies":                      {"172.30.0.2:1", []string{"203.0.113.1, 198.51.100.7, 172.30.0.3"}, "198.51.100.7"},
		"nobody but proxies":               {"172.30.0.2:1", []string{"172.30.0.4, 172.30.0.3"}, "172.30.0.4"},
		"IPv6":                             {"[fd00::2]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 with a port":                 {"[fd00::2]:1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		"IPv6 in brackets":                 {"[fd00::2]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with a zone":                 {"[fd00::2]:1", []string{"fe80::1%eth0"}, "fe80::1"},
		"IPv4 with a port":                 {"172.30.0.2:1", []string{"198.51.100.7:5000"}, "198.51.100.7"},
		"IPv4 in IPv6":                     {"[::ffff:172.30.0.2]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"IPv4 in IPv6 with a port":         {"172.30.0.2:1", []string{"[::ffff:198.51.100.7]:443"}, "198.51.100.7"},
		"nonsense":                         {"172.30.0.2:1", []string{"unknown"}, "172.30.0.2"},
		"nonsense before":                  {"172.30.0.2:1", []string{"unknown, 198.51.100.7"}, "198.51.100.7"},
		"nonsense behind what is not ours": {"172.30.0.2:1", []string{"198.51.100.7, unknown"}, "172.30.0.2"},
		"empty":                            {"172.30.0.2:1", []string{""}, "172.30.0.2"},
		"no address at all":                {"@", []string{"198.51.100.7"}, "@"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		for _, h := range c.forwarded {
			r.Header.Add("X-Forwarded-For", h)
		}
		if got := trusted.Client(r); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	for _, bad := range []string{"", "example.org", "10.0.0.0/33", "*", "fe80::1%eth0"} {
		if _, err := ParseProxies([]string{bad}); err == nil {
			t.Errorf("%q is taken for a network", bad)
		}
	}
}
