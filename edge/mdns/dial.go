package mdns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	systemTime = 1500 * time.Millisecond // that the system may take for a name of .local, which most name servers do not know
	staleFor   = 24 * time.Hour          // that an address is used while nothing answers to its name
)

// Names resolves the name of an inverter, and connects to it: as the system does, and a name of .local also by asking the
// network. It keeps the last address of it for the time when nothing answers. The zero value is ready.
type Names struct {
	System func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil: the resolver of the system
	Ask    func(ctx context.Context, host string) ([]netip.Addr, error)          // nil: Querier.Lookup
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)  // nil: that of net

	mu    sync.Mutex
	host  string
	addrs []netip.Addr
	at    time.Time
}

// now is the clock of the package, for durations only.
func now() time.Time { return time.Now() }

// DialContext connects to an address. Those of a name of .local are tried one after the other: a dongle serves one connection.
func (n *Names) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dial := n.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || !IsLocal(host) {
		return dial(ctx, network, address)
	}
	addrs, err := n.Resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, a := range addrs {
		conn, err := dialWithin(ctx, dial, network, net.JoinHostPort(a.String(), port), len(addrs)-i)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// dialWithin dials with its share of the time that is left for so many addresses.
func dialWithin(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, address string, of int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok && of > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, end.Sub(now())/time.Duration(of))
		defer cancel()
	}
	return dial(ctx, network, address)
}

// Resolve returns the addresses of a host.
func (n *Names) Resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	system, ask := n.System, n.Ask
	if system == nil {
		system = net.DefaultResolver.LookupNetIP
	}
	if ask == nil {
		ask = new(Querier).Lookup
	}
	if !IsLocal(host) {
		return system(ctx, "ip", host)
	}
	limited, cancel := context.WithTimeout(ctx, systemTime)
	addrs, err := system(limited, "ip", strings.TrimSuffix(host, "."))
	cancel()
	if addrs = atHome(addrs); err == nil && len(addrs) > 0 {
		return n.keep(host, addrs), nil
	}
	addrs, err = ask(ctx, host)
	if err == nil {
		return n.keep(host, addrs), nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.host == host && now().Sub(n.at) < staleFor && ctx.Err() == nil {
		return n.addrs, nil
	}
	return nil, err
}

// atHome returns the addresses without those of the public IPv4 internet, by which some providers answer to every name.
func atHome(addrs []netip.Addr) (home []netip.Addr) {
	for _, a := range addrs {
		if a = a.Unmap(); !a.Is4() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsLoopback() {
			home = append(home, a)
		}
	}
	return fourFirst(home)
}

func (n *Names) keep(host string, addrs []netip.Addr) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host, n.addrs, n.at = host, addrs, now()
	return addrs
}
