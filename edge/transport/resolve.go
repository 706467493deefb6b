package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	nameEvery     = 5 * time.Minute // between look-ups of the name of a connection that lives
	nameAgain     = time.Minute     // the same, after one that failed
	lookupTimeout = 10 * time.Second
	lookupAside   = 5 * time.Second // of a look-up that a request with a good connection waits for
	otherFamily   = 2 * time.Second // that the answer about one family waits for that about the other
	staleFor      = 24 * time.Hour  // addresses are used while no name server answers
)

// names resolves names, and keeps the last answer for the time when no name server answers. The certificate of the
// server shows whether an old address is still its own. The zero value is ready.
type names struct {
	mu    sync.Mutex
	host  string
	addrs []netip.Addr
	at    time.Time
}

type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// find returns the addresses of host, those of the last answer if no name server gives one now.
func (n *names) find(ctx context.Context, look lookup, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := n.resolve(ctx, look, host)
	if err == nil || isNotFound(err) {
		return addrs, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.host == host && now().Sub(n.at) < staleFor {
		return n.addrs, nil
	}
	return nil, err
}

// resolve returns the addresses of host as the name servers return them now. Both families are looked up in parallel,
// because there are name servers that never answer about one of them.
func (n *names) resolve(ctx context.Context, look lookup, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr.Unmap()}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		addrs []netip.Addr
		err   error
	}
	families := []string{"ip6", "ip4"}
	answers := make([]chan answer, len(families))
	for i, family := range families {
		answers[i] = make(chan answer, 1)
		go func() {
			addrs, err := look(ctx, family, host)
			answers[i] <- answer{addrs, err}
		}()
	}
	var found [2][]netip.Addr
	var errs []error
	var enough <-chan time.Time
	for range families {
		var i int
		var a answer
		select {
		case a = <-answers[0]:
		case a = <-answers[1]:
			i = 1
		case <-enough:
			return n.keep(host, slices.Concat(found[:]...)), nil
		case <-ctx.Done():
			a.err = &net.DNSError{Err: "no name server answers", Name: host, IsTimeout: true}
		}
		if a.err != nil {
			errs = append(errs, a.err)
			continue
		}
		found[i], enough = a.addrs, time.After(otherFamily)
	}
	if addrs := slices.Concat(found[:]...); len(addrs) > 0 {
		return n.keep(host, addrs), nil
	}
	for _, err := range errs { // that there is no address of one family shows nothing if the other was not answered
		if !isNotFound(err) {
			return nil, err
		}
	}
	if len(errs) == 0 {
		errs = []error{&net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	}
	return nil, errs[0]
}

// keep records the addresses of host and returns them, each once.
func (n *names) keep(host string, addrs []netip.Addr) []netip.Addr {
	unique := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		if a = a.Unmap(); !slices.Contains(unique, a) {
			unique = append(unique, a)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host, n.addrs, n.at = host, unique, now()
	return unique
}

func hasAddr(addrs []netip.Addr, addr netip.Addr) bool {
	return slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap() == addr.Unmap() })
}

func isNotFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}
