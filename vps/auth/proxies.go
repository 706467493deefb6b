package auth

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of the proxies whose X-Forwarded-For is trusted. That of any other caller is ignored: each address
// that it makes up would be ten more guesses at a token.
type Proxies []netip.Prefix

// ParseProxies takes networks ("10.0.0.0/8") and single addresses.
func ParseProxies(list []string) (Proxies, error) {
	var trusted Proxies
	for _, entry := range list {
		entry = strings.TrimSpace(entry)
		p, err := netip.ParsePrefix(entry)
		if err != nil {
			ip, err := netip.ParseAddr(entry)
			if err != nil || ip.Zone() != "" {
				return nil, fmt.Errorf("%q is not a network such as 172.16.0.0/12, nor an address", entry)
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		trusted = append(trusted, p)
	}
	return trusted, nil
}

// Client returns the address that r comes from: of its connection, or, if that is a trusted proxy, the last hop in
// X-Forwarded-For that is not one. Each proxy appends the address of its peer, so what precedes that hop is the peer's claim.
// What cannot be read ends the search at the proxy that wrote it.
func (p Proxies) Client(r *http.Request) string {
	from, _ := p.client(r)
	return from
}

// client returns what Client does, and whether that is not a proxy that does not say for whom it asks.
func (p Proxies) client(r *http.Request) (from string, named bool) {
	from = address(r.RemoteAddr)
	if !p.has(from) {
		return from, true
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.has(from); i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			return from, false
		}
		from = hop.String()
	}
	return from, true
}

// parseHop reads an address with or without a port and brackets.
func parseHop(hop string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(hop); err == nil {
		return ap.Addr().Unmap().WithZone(""), nil
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
	return ip.Unmap().WithZone(""), err
}

func (p Proxies) has(addr string) bool {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for _, network := range p {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

func address(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}

// carriers is the network that providers give to customers without an address of their own, and clouds to containers. It
// is not routed on the internet.
var carriers = netip.MustParsePrefix("100.64.0.0/10")

// Near reports whether r comes from nearby, and on behalf of no client that does not. X-Forwarded-For is no proof of that,
// since any client can send it; but what it names must be near, too: a proxy that is not in the settings may have added it.
func (p Proxies) Near(r *http.Request) bool {
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

func (p Proxies) isNear(addr string) bool {
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
