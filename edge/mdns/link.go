package mdns

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

const maxLinks = 16 // interfaces that are asked: a host of containers has hundreds

var (
	group4 = netip.AddrPortFrom(netip.MustParseAddr("224.0.0.251"), port)
	group6 = netip.AddrPortFrom(netip.MustParseAddr("ff02::fb"), port)
)

// link is an interface of this host with one of its addresses, and what is in the same network.
type link struct {
	zone     string
	local    netip.Addr     // from which it is asked
	to       netip.AddrPort // the group that is asked
	join     *net.Interface // where answers to the group are read as well; nil for not
	prefixes []netip.Prefix // of the same network
}

// hostLinks returns those of this host: each interface that is up, by IPv4 and by IPv6.
func hostLinks() (links []link, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range interfaces {
		const wanted = net.FlagUp | net.FlagMulticast
		if i.Flags&wanted != wanted || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		if links = append(links, linksOf(i, addrs)...); len(links) >= 2*maxLinks {
			break
		}
	}
	return links, nil
}

// linksOf returns the links of an interface with these addresses, one of a family.
func linksOf(i net.Interface, addrs []net.Addr) (links []link) {
	var prefixes []netip.Prefix
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				bits, _ := n.Mask.Size()
				prefixes = append(prefixes, netip.PrefixFrom(ip.Unmap(), bits))
			}
		}
	}
	four := slices.IndexFunc(prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() })
	six := slices.IndexFunc(prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() })
	if four >= 0 {
		links = append(links, link{zone: i.Name, local: prefixes[four].Addr(), to: group4, join: &i, prefixes: prefixes})
	}
	if six >= 0 {
		to := netip.AddrPortFrom(group6.Addr().WithZone(i.Name), port)
		links = append(links, link{zone: i.Name, local: prefixes[six].Addr().WithZone(i.Name), to: to, join: &i, prefixes: prefixes})
	}
	return links
}

// has reports whether an address is in the network of the link.
func (l *link) has(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsMulticast() || a.IsUnspecified() {
		return false
	}
	return a.IsLinkLocalUnicast() || slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// conn is a socket on a link.
type conn struct {
	udp  *net.UDPConn
	over *link
}

// open opens two sockets: one that is answered alone, and one that reads what is answered to all, which some devices and
// firewalls make the only way. Neither is a must.
func (l *link) open() (conns []*conn) {
	network := "udp6"
	if l.local.Is4() {
		network = "udp4"
	}
	// Bound to the interface's address, the question goes out there.
	if udp, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.local, 0))); err == nil {
		conns = append(conns, &conn{udp, l})
	}
	if l.join == nil {
		return conns
	}
	if udp, err := net.ListenMulticastUDP(network, l.join, net.UDPAddrFromAddrPort(l.to)); err == nil {
		conns = append(conns, &conn{udp, l})
	}
	return conns
}

func (c *conn) ask(message []byte) {
	if message != nil {
		c.udp.WriteToUDPAddrPort(message, c.over.to) // an interface that takes nothing is one that answers nothing
	}
}

// read passes on what comes from the port of mDNS until the socket is closed or ctx ends.
func (c *conn) read(ctx context.Context, packets chan<- packet) {
	buffer := make([]byte, maxPacket)
	for {
		n, from, err := c.udp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if from.Port() != c.over.to.Port() {
			continue
		}
		select {
		case packets <- packet{append([]byte(nil), buffer[:n]...), from.Addr(), c.over}:
		case <-ctx.Done():
			return
		}
	}
}
