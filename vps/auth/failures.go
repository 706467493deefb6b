package auth

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	MaxFailures   = 10 // wrong tokens that an address may try in failureWindow
	FailureWindow = time.Minute
	maxAddresses  = 4096 // remembered at once; further ones share one count
)

// Failures counts the wrong tokens of each address. It is consulted only when a token is wrong, so a good token passes
// whatever happens at its address.
type Failures struct {
	mu       sync.Mutex
	of       map[netip.Prefix]*failed
	forgotAt time.Time // so that a full map is not searched at each failure
}

type failed struct {
	count int
	until time.Time // then the count is forgotten
}

// Add counts one more failure of remote at the time now, and returns how long to wait when there were too many.
func (f *Failures) Add(remote string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[netip.Prefix]*failed{}
	}
	who := NetworkOf(remote)
	if f.of[who] == nil && len(f.of) >= maxAddresses {
		if now.Sub(f.forgotAt).Abs() >= time.Second {
			f.forgotAt = now
			f.forget(now)
		}
		if len(f.of) >= maxAddresses {
			who = netip.Prefix{}
		}
	}
	w := f.of[who]
	if w == nil || !now.Before(w.until) {
		w = &failed{until: now.Add(FailureWindow)}
		f.of[who] = w
	}
	if w.count++; w.count <= MaxFailures {
		return 0
	}
	return w.until.Sub(now)
}

func (f *Failures) forget(now time.Time) {
	for who, w := range f.of {
		if !now.Before(w.until) {
			delete(f.of, who)
		}
	}
}

// NetworkOf is what counts as one address: an IPv4 address, or the /64 that an IPv6 host may choose from freely. What is
// neither is counted together.
func NetworkOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}
