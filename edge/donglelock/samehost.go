package donglelock

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

// SameHost returns the host of a dongle that a process of this machine reads, if it is the given one by another name or address;
// else "". A host that cannot be resolved is no other's.
func SameHost(ctx context.Context, host string, resolve func(ctx context.Context, host string) ([]netip.Addr, error)) string {
	held, _ := Held()
	return sameHost(ctx, host, held, resolve)
}

func sameHost(ctx context.Context, host string, held []string, resolve func(ctx context.Context, host string) ([]netip.Addr, error)) string {
	_, notIP := netip.ParseAddr(host)
	var addrs []netip.Addr
	for _, address := range held {
		other, _, err := net.SplitHostPort(address)
		if err != nil || lockName(other, 0) == lockName(host, 0) {
			continue
		}
		if _, otherNotIP := netip.ParseAddr(other); notIP == nil && otherNotIP == nil {
			continue // two addresses
		}
		if addrs == nil {
			if addrs, err = resolve(ctx, host); err != nil {
				return ""
			}
		}
		others, err := resolve(ctx, other)
		if err == nil && slices.ContainsFunc(others, func(a netip.Addr) bool { return slices.Contains(addrs, a.Unmap()) }) {
			return other
		}
	}
	return ""
}
