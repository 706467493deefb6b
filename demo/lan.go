package demo

import (
	"net"
	"net/http"
	"os"

	"sunspool/vps/auth"
)

// readers answers who asks on this host without a token. Everybody else is answered as by the server in earnest with --lan, and
// shown the way without it.
func (s *show) readers() http.Handler {
	open := s.server.Readers(s.devices()...)
	if s.viewer == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if auth.LoopbackName(r.Host) {
				open.ServeHTTP(w, r)
			} else {
				http.Error(w, "This demo has no other names than localhost, or a page of any site could read it: open "+s.page()+
					"\nFor other hosts and names: sunspool demo --lan", http.StatusForbidden)
			}
		})
	}
	closed := s.server.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if auth.Local(r) {
			open.ServeHTTP(w, r)
		} else {
			closed.ServeHTTP(w, r)
		}
	})
}

// link is what a browser on another host opens.
func (s *show) link() string {
	host, port, _ := net.SplitHostPort(s.addresses.readers)
	if unspecified(host) {
		host = ownName()
	}
	return "http://" + net.JoinHostPort(host, port) + "/#t=" + s.viewer
}

// page is where a browser on this host sees the demo.
func (s *show) page() string {
	host, _, _ := net.SplitHostPort(s.addresses.readers)
	if ip := net.ParseIP(host); s.viewer != "" && ip != nil && !ip.IsUnspecified() && !ip.IsLoopback() {
		return s.link() // the loopback does not lead there
	}
	return "http://" + s.local() + "/"
}

// local is where readers on this host ask.
func (s *show) local() string {
	host, port, _ := net.SplitHostPort(s.addresses.readers)
	if unspecified(host) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func unspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// ownName is this host's address in a private network, else another one of its addresses, else its name.
func ownName() string {
	addresses, _ := net.InterfaceAddrs()
	other := ""
	for _, a := range addresses {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.To4() == nil || !n.IP.IsGlobalUnicast() {
			continue
		}
		if n.IP.IsPrivate() {
			return n.IP.String()
		}
		other = n.IP.String()
	}
	if other == "" {
		other, _ = os.Hostname()
	}
	return other
}

// dated writes the time of the demo's clock into the answers of h: an edge compares it with its own.
func (s *show) dated(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
		h.ServeHTTP(w, r)
	})
}
