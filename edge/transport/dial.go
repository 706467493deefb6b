package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	connectTimeout   = 10 * time.Second       // of one address
	handshakeTimeout = 10 * time.Second       // of TLS on one connection
	nextConnect      = 300 * time.Millisecond // until the next address is tried beside one that has not connected (RFC 8305)
	nextHandshake    = 3 * time.Second        // the same, beside one that has connected and is in the handshake
	unreachableFor   = 5 * time.Minute        // an address that did not connect comes after the others
	stalledFor       = time.Hour              // the same, for one that connects and then loses large packets
)

// dialTLS connects to the first address of a server, or of a proxy, that completes the TLS handshake.
func (t *Transport) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	protocols, next := t.current().TLSClientConfig.NextProtos, stageHandshake // to which net/http has added HTTP/2, if it is on
	if e := exchangeOf(ctx); e != nil && e.proxy != "" {                      // it is one of https://
		protocols, next = nil, stageProxy // CONNECT is an HTTP/1 request
	}
	return t.dial(ctx, network, address, next, func(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		return t.Handshake(ctx, conn, host, protocols)
	})
}

// dialPlain connects to the first address of a proxy that accepts the connection.
func (t *Transport) dialPlain(ctx context.Context, network, address string) (net.Conn, error) {
	return t.dial(ctx, network, address, stageProxy, func(_ context.Context, conn net.Conn, _ string) (net.Conn, error) { return conn, nil })
}

// dial resolves a name and connects to the first of its addresses on which secure succeeds. next is the stage of that.
func (t *Transport) dial(ctx context.Context, network, address string, next stage, secure func(context.Context, net.Conn, string) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout) // it does not end with its request
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := t.names.find(ctx, t.Lookup, host)
	if err != nil {
		return nil, err
	}
	e := exchangeOf(ctx)
	r := race{paths: &t.paths, port: uint16(number), exchange: e, next: next}
	conn, addr, err := r.run(ctx, t.paths.order(addrs), func(ctx context.Context, addr netip.AddrPort, connected func()) (net.Conn, error) {
		bounded, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		conn, err := t.Dial(bounded, network, addr.String())
		if err != nil {
			return nil, err
		}
		connected()
		return secure(ctx, conn, host)
	})
	if err != nil {
		return nil, err
	}
	t.paths.worked(addr.Addr())
	at := now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connected = connected{host: host, addr: addr, proxied: e != nil && e.proxy != "", since: at, checked: at}
	return conn, nil
}

// addressError is the failure of one address of a name.
type addressError struct {
	addr  netip.AddrPort
	stage stage
	tried int // how many addresses of the name were tried
	err   error
}

func (e *addressError) Error() string { return fmt.Sprintf("%v: %v", e.addr, e.err) }
func (e *addressError) Unwrap() error { return e.err }

// race connects to addresses in parallel (RFC 8305): the next attempt begins when the one before fails or takes long. The
// first connection that is ready is used.
type race struct {
	paths    *paths
	port     uint16
	exchange *exchange
	next     stage // of what is connected

	all     []*attempt
	results chan dialed
	steps   chan *attempt // connected
}

// attempt is the state of one address in a race. Only run uses it.
type attempt struct {
	addr      netip.AddrPort
	connected bool
	since     time.Time // when it began, or connected
	over      bool
	err       error
}

// dialed is the result of an attempt.
type dialed struct {
	attempt   *attempt
	connected bool
	conn      net.Conn
	err       error
}

func (r *race) run(ctx context.Context, addrs []netip.Addr, open func(context.Context, netip.AddrPort, func()) (net.Conn, error)) (net.Conn, netip.AddrPort, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.results, r.steps = make(chan dialed, len(addrs)), make(chan *attempt, len(addrs))
	running := 0
	begin := func() time.Duration {
		a := &attempt{addr: netip.AddrPortFrom(addrs[len(r.all)], r.port), since: now()}
		r.all = append(r.all, a)
		r.exchange.reach(stageDial, a.addr)
		running++
		go func() {
			d := dialed{attempt: a}
			d.conn, d.err = open(ctx, a.addr, func() {
				d.connected = true
				r.steps <- a
			})
			r.results <- d
		}()
		return nextConnect
	}
	next := time.NewTimer(begin())
	defer next.Stop()
	for running > 0 {
		select {
		case a := <-r.steps:
			a.connected, a.since = true, now()
			r.exchange.reach(r.next, a.addr)
			if a == r.all[len(r.all)-1] {
				next.Reset(nextHandshake)
			}
		case d := <-r.results:
			running--
			a := d.attempt
			a.over, a.connected, a.err = true, d.connected, d.err
			if d.err == nil {
				r.markSlow(false)
				r.exchange.reach(r.next, a.addr)
				go closeLosers(r.results, running)
				return d.conn, a.addr, nil
			}
			r.paths.failed(a)
			if len(r.all) < len(addrs) && (running == 0 || a == r.all[len(r.all)-1]) {
				next.Reset(begin())
			}
		case <-next.C:
			if len(r.all) < len(addrs) {
				next.Reset(begin())
			}
		case <-ctx.Done():
			r.markSlow(true)
			go closeLosers(r.results, running)
			return nil, netip.AddrPort{}, r.failure(ctx.Err())
		}
	}
	return nil, netip.AddrPort{}, r.failure(errors.New("it has no address"))
}

// closeLosers closes the connections of attempts that were ready too late.
func closeLosers(results <-chan dialed, running int) {
	for range running {
		if d := <-results; d.conn != nil {
			d.conn.Close()
		}
	}
}

// markSlow marks the addresses of attempts that are not over: an address that was slower than another, or than the time of
// the request, is tried later than others from now on.
func (r *race) markSlow(timedOut bool) {
	for _, a := range r.all {
		switch took := now().Sub(a.since); {
		case a.over:
		case a.connected && took >= nextHandshake:
			r.paths.stalled(a.addr.Addr())
		case !a.connected && took >= nextConnect, timedOut:
			r.paths.unreachable(a.addr.Addr())
		}
	}
}

// failure returns the error of the attempt that came furthest, or rest for one that is not over.
func (r *race) failure(rest error) error {
	var worst *addressError
	for _, a := range r.all {
		e := &addressError{addr: a.addr, err: rest, tried: len(r.all)}
		if a.over {
			e.err = a.err
		}
		if a.connected || a.over && isTLS(a.err) {
			e.stage = r.next
		}
		if worst == nil || e.stage > worst.stage || e.stage == worst.stage && timedOut(worst.err) && !timedOut(e.err) {
			worst = e
		}
	}
	if worst == nil {
		return rest
	}
	return worst
}

// paths records which addresses worked and which did not. The zero value is ready.
type paths struct {
	mu       sync.Mutex
	last     netip.Addr              // that worked
	marks    map[netip.Addr]pathMark // of addresses that did not
	families map[bool]time.Time      // until when IPv4 (true) or IPv6 is avoided
}

// pathMark is since when and until when an address is avoided.
type pathMark struct{ since, until time.Time }

// order returns the addresses in the order in which they are to be tried: the one that worked last, those of which
// nothing bad is known, by turns of IPv6 and IPv4, those of a family that stalls, and those that failed, the one whose
// failure is the longest ago first.
func (p *paths) order(addrs []netip.Addr) []netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := now()
	for addr, m := range p.marks {
		if !at.Before(m.until) {
			delete(p.marks, addr)
		}
	}
	rank := func(a netip.Addr) int {
		switch _, marked := p.marks[a]; {
		case marked:
			return 3
		case at.Before(p.families[a.Is4()]):
			return 2
		case a == p.last:
			return 0
		}
		return 1
	}
	ordered := interleave(addrs)
	slices.SortStableFunc(ordered, func(a, b netip.Addr) int {
		if ra, rb := rank(a), rank(b); ra != rb || ra != 3 {
			return ra - rb
		}
		return p.marks[a].since.Compare(p.marks[b].since)
	})
	return ordered
}

// interleave returns the addresses by turns of the two families, beginning with that of the first.
func interleave(addrs []netip.Addr) []netip.Addr {
	var one, other []netip.Addr
	for _, a := range addrs {
		if a.Is4() == addrs[0].Is4() {
			one = append(one, a)
		} else {
			other = append(other, a)
		}
	}
	mixed := make([]netip.Addr, 0, len(addrs))
	for i := range max(len(one), len(other)) {
		if i < len(one) {
			mixed = append(mixed, one[i])
		}
		if i < len(other) {
			mixed = append(mixed, other[i])
		}
	}
	return mixed
}

// failed marks the address of an attempt by its error.
func (p *paths) failed(a *attempt) {
	switch {
	case a.connected && timedOut(a.err):
		p.stalled(a.addr.Addr())
	case !isCertificate(a.err):
		p.unreachable(a.addr.Addr())
	}
}

// worked records that an address was connected and completed the handshake.
func (p *paths) worked(addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = addr
}

// unreachable records that an address did not connect.
func (p *paths) unreachable(addr netip.Addr) { p.mark(addr, unreachableFor) }

// stalled records that an address connects, and that then a handshake or a request fails: large packets may be lost, which
// is often so for a whole family.
func (p *paths) stalled(addr netip.Addr) {
	p.mark(addr, stalledFor)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.families == nil {
		p.families = make(map[bool]time.Time)
	}
	p.families[addr.Is4()] = now().Add(stalledFor)
	delete(p.families, !addr.Is4())
}

func (p *paths) mark(addr netip.Addr, most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.marks == nil {
		p.marks = make(map[netip.Addr]pathMark)
	}
	at := now()
	until := at.Add(most)
	if old := p.marks[addr]; old.until.After(until) {
		until = old.until
	}
	p.marks[addr] = pathMark{at, until}
}
