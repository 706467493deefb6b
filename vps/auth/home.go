package auth

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Home reports whether r comes from the network at home, by a name that only this network gives to the server. In mode
// open-lan such a caller reads without a token.
//
// The address alone would not do: a page of any site, opened in a browser at home, can ask this server by a name of its own
// that it has changed to our address (DNS rebinding), and would read the answers. But its name is then in the header Host. A
// proxy makes every client look near; so whoever comes through one that is not in the settings is not at home, nor a client
// whom a proxy of the settings does not name.
func (p Proxies) Home(r *http.Request) bool {
	if !p.has(address(r.RemoteAddr)) && Proxied(r) {
		return false
	}
	client, named := p.client(r)
	ip, err := netip.ParseAddr(client)
	return named && err == nil && private(ip) && homeName(r.Host)
}

// Local reports whether r comes from a program on this machine, by a name that nobody else can give to it, and not through a
// proxy.
func Local(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback() && !Proxied(r) && LoopbackName(r.Host)
}

// LoopbackName reports whether the header Host is a name of the loopback. A page of another site that has changed its name to
// this address (DNS rebinding) sends that name.
func LoopbackName(host string) bool {
	name := strings.TrimSuffix(strings.ToLower(hostOnly(host)), ".")
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}

// Proxied reports whether a proxy sent r, as far as that can be seen. An empty header is one, too: a client may send it so that
// a proxy adds its own behind it. No browser speaks HTTP/1.0; nginx does, which by default adds no header.
func Proxied(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || slices.Contains([]string{"Forwarded", "X-Real-Ip", "Via", "Cf-Connecting-Ip"}, name) {
			return true
		}
	}
	return !r.ProtoAtLeast(1, 1)
}

// private reports whether ip is one that a home network gives. Those of carriers are not: others are there, too.
func private(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
}

// homeName reports whether nobody else can have the name of host: it is an address of a home network, or a name that the
// public DNS does not have.
func homeName(host string) bool {
	name := strings.TrimSuffix(strings.ToLower(hostOnly(host)), ".")
	if ip, err := netip.ParseAddr(name); err == nil {
		return private(ip)
	}
	if name == "" || strings.ContainsAny(name, ":[]/@ ") {
		return false
	}
	if !strings.Contains(name, ".") { // localhost, or what a router calls its clients
		return strings.Trim(name, "0123456789") != "" && !strings.HasPrefix(name, "0x") // else another way to write an address
	}
	for _, suffix := range []string{".localhost", ".local", ".lan", ".home.arpa", ".internal"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// hostOnly returns host without a port and without the brackets of an IPv6 address.
func hostOnly(host string) string {
	if ap, err := netip.ParseAddrPort(host); err == nil {
		return ap.Addr().String()
	}
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		return strings.TrimSuffix(inner, "]")
	}
	if name, port, ok := strings.Cut(host, ":"); ok && strings.Trim(port, "0123456789") == "" {
		return name
	}
	return host
}
