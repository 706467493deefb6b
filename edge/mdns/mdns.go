// Package mdns asks the network at home: for the address of a name that ends in .local, and for dongles that announce themselves.
// It is one question, by multicast DNS (RFC 6762, one-shot), and what is answered within a moment; nothing runs on.
//
//	question ──> each interface that is up ──> 224.0.0.251, ff02::fb ──> answers of this link ──> addresses, dongles
//
// Whoever is in the same network can answer. What comes from elsewhere, and addresses that are elsewhere, are not used.
package mdns

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	port       = 5353
	again      = time.Second            // until a question is repeated, as the standard has it
	enough     = 150 * time.Millisecond // that further addresses of a name are waited for after the first
	lookupTime = 2 * time.Second        // that a name is waited for
	findTime   = 2500 * time.Millisecond
	maxPacket  = 9000
	maxPackets = 1000 // that are read for one question
)

// Querier asks questions. The zero value is ready.
type Querier struct {
	links func() ([]link, error) // nil: those of this host
}

// packet is what came in over a link.
type packet struct {
	data []byte
	from netip.Addr
	over *link
}

// collect asks until enough is known or wait is over. next returns the questions that are still open; done reports whether
// nothing more needs to come.
func (q *Querier) collect(ctx context.Context, wait time.Duration, next func(*records) []dnsmessage.Question, done func(*records) bool) (*records, error) {
	find := q.links
	if find == nil {
		find = hostLinks
	}
	links, err := find()
	if err != nil {
		return nil, err
	}
	var conns []*conn
	for i := range links {
		conns = append(conns, links[i].open()...)
	}
	found := newRecords()
	if len(conns) == 0 {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	packets := make(chan packet)
	var readers sync.WaitGroup
	for _, c := range conns {
		readers.Go(func() { c.read(ctx, packets) })
	}
	defer func() {
		cancel() // first: a reader may be waiting to pass on what it has
		for _, c := range conns {
			c.udp.Close()
		}
		readers.Wait()
	}()
	ask := func() {
		message := questions(next(found))
		for _, c := range conns {
			c.ask(message)
		}
	}
	ask()
	repeat := time.NewTicker(again)
	defer repeat.Stop()
	var settled <-chan time.Time
	for n := 0; n < maxPackets; {
		select {
		case <-ctx.Done():
			return found, nil
		case <-settled:
			return found, nil
		case <-repeat.C:
			ask()
		case p := <-packets:
			n++
			if p.over.has(p.from) {
				found.add(p.data, p.over)
			}
			if settled == nil && done(found) {
				settled = time.After(enough)
			}
		}
	}
	return found, nil
}

// Lookup returns the addresses of a name of this network, those of IPv4 first.
func (q *Querier) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	name := canonical(host)
	asked := []dnsmessage.Question{question(name, dnsmessage.TypeA), question(name, dnsmessage.TypeAAAA)}
	found, err := q.collect(ctx, lookupTime, func(*records) []dnsmessage.Question { return asked }, func(r *records) bool { return len(r.addrs[name]) > 0 })
	if err != nil {
		return nil, &net.DNSError{Err: "the network cannot be asked for it: " + err.Error(), Name: host, IsTemporary: true}
	}
	if err := ctx.Err(); err != nil && len(found.addrs[name]) == 0 {
		return nil, err
	}
	addrs := found.addrs[name]
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no device in this network answers to it", Name: host, IsNotFound: true}
	}
	return fourFirst(addrs), nil
}

// fourFirst returns addresses with those of IPv4 first: dongles serve Modbus there.
func fourFirst(addrs []netip.Addr) []netip.Addr {
	var four, six []netip.Addr
	for _, a := range addrs {
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	return append(four, six...)
}

// IsLocal reports whether a name is one that the network itself knows.
func IsLocal(host string) bool { return strings.HasSuffix(canonical(host), ".local.") }

// canonical is a name as it is compared.
func canonical(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) + "." }
