package vps

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// carriers is the network that providers give to customers without an address of their own, and clouds to containers. It
// is not routed on the internet.
var carriers = netip.MustParsePrefix("100.64.0.0/10")

// near serves h to this host, to private networks and to proxies that ask for themselves: to an orchestrator that probes.
// To callers from the internet the path does not exist.
func (s *Server) near(h handler) handler {
	return func(c *call) (any, error) {
		if !s.Proxies.near(c.r) {
			return nil, errNotFound
		}
		return h(c)
	}
}

// near reports whether r comes from nearby, and for nobody who does not. X-Forwarded-For is no proof of that, since
// anybody can write it; but what it names must be near, too: a proxy that is not known here may have written it.
func (p proxies) near(r *http.Request) bool {
	if !p.isNear(address(r.RemoteAddr)) && !fromItself(r) {
		return false
	}
	for _, line := range r.Header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(line, ",") {
			ip, err := parseHop(strings.TrimSpace(hop))
			if err != nil || !p.isNear(ip.String()) {
				return false
			}
		}
	}
	return true
}

func (p proxies) isNear(addr string) bool {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || carriers.Contains(ip) || p.has(addr)
}

// fromItself reports whether this host asks itself by its own address, which may be a public one.
func fromItself(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && address(local.String()) == address(r.RemoteAddr)
}
