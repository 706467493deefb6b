package transport_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/pace"
	"sunspool/edge/token"
	"sunspool/edge/transport"
	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// internet is a network inside of a test: servers at addresses, some of which swallow what is sent to them, and a name
// server. Its connections are net.Pipes without TLS.
type internet struct {
	t *testing.T

	mu       sync.Mutex
	addrs    map[string][]netip.Addr // of the name, by family
	lookups  int
	dnsErr   map[string]error // by family
	silent   map[string]bool
	sites    map[netip.Addr]*site
	dials    []netip.Addr
	requests map[netip.Addr]int
}

// site is what is at an address.
type site struct {
	pipes   *uploadtest.Pipes
	fate    string // "", "no connection", "refused", "no handshake" or "no answer"
	patient chan struct{}
}

// newInternet has a server at each of the addresses of the name vps.example.org, with its fate.
func newInternet(t *testing.T, fates ...string) *internet {
	n := &internet{t: t, sites: make(map[netip.Addr]*site), requests: make(map[netip.Addr]int), silent: make(map[string]bool), dnsErr: make(map[string]error)}
	var addrs []string
	for _, f := range fates {
		addr, fate, _ := strings.Cut(f, " ")
		n.add(addr, fate)
		addrs = append(addrs, addr)
	}
	n.name(addrs...)
	return n
}

// add puts a server at addr.
func (n *internet) add(address, fate string) {
	addr := netip.MustParseAddr(address)
	s := &site{pipes: uploadtest.NewPipes(), fate: fate, patient: make(chan struct{})}
	n.mu.Lock()
	n.sites[addr] = s
	n.mu.Unlock()
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.fate(addr) == "no answer" {
			<-s.patient
			return
		}
		io.Copy(io.Discard, r.Body)
		n.mu.Lock()
		n.requests[addr]++
		n.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"inserted":0}`)
	})}
	var served sync.WaitGroup
	served.Go(func() { server.Serve(s.pipes) })
	n.t.Cleanup(func() {
		close(s.patient)
		server.Close()
		served.Wait()
	})
}

// name gives the name these addresses.
func (n *internet) name(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = make(map[string][]netip.Addr)
	for _, a := range addrs {
		addr := netip.MustParseAddr(a)
		family := "ip4"
		if addr.Is6() {
			family = "ip6"
		}
		n.addrs[family] = append(n.addrs[family], addr)
	}
}

func (n *internet) fate(addr netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sites[addr].fate
}

func (n *internet) set(addr, fate string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sites[netip.MustParseAddr(addr)].fate = fate
}

func (n *internet) lookup(ctx context.Context, family, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	n.lookups++
	addrs, err, silent := n.addrs[family], n.dnsErr[family], n.silent[family]
	n.mu.Unlock()
	switch {
	case silent:
		<-ctx.Done()
		return nil, &net.DNSError{Err: ctx.Err().Error(), Name: host, Server: "192.0.2.53:53", IsTimeout: true}
	case err != nil:
		return nil, err
	case len(addrs) == 0:
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (n *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	addr := netip.MustParseAddrPort(address).Addr()
	n.mu.Lock()
	n.dials = append(n.dials, addr)
	s := n.sites[addr]
	n.mu.Unlock()
	switch n.fate(addr) {
	case "no connection":
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	case "refused":
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	conn, err := s.pipes.Dial(ctx, network, address)
	return &addressed{conn, addr}, err
}

type addressed struct {
	net.Conn
	addr netip.Addr
}

func (n *internet) handshake(ctx context.Context, conn net.Conn, _ string, _ []string) (net.Conn, error) {
	if n.fate(conn.(*addressed).addr) == "no handshake" {
		<-ctx.Done()
		conn.Close()
		return nil, ctx.Err()
	}
	return conn, nil
}

// dialed returns the addresses that were dialed since the last call.
func (n *internet) dialed() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.dials = nil }()
	return strings.Trim(fmt.Sprint(n.dials), "[]")
}

func (n *internet) served(addr string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.requests[netip.MustParseAddr(addr)]
}

// uploader returns one with samples, whose client has this network under it.
func (n *internet) uploader() *upload.Uploader {
	n.t.Helper()
	client, err := transport.NewClient(transport.Trust{CAFile: uploadtest.NewAuthority(n.t).File})
	if err != nil {
		n.t.Fatal(err)
	}
	tr := client.Transport.(*transport.Transport)
	tr.Lookup, tr.Dial, tr.Handshake, tr.Proxy = n.lookup, n.dial, n.handshake, nil
	u := &upload.Uploader{Spool: openSpool(n.t, filepath.Join(testhost.MemoryDir(n.t), "spool.db")), Client: client, URL: "https://vps.example.org" + wire.IngestPath,
		Token: &token.Source{Value: "t0ken-0123456789abcdef"}, BatchSize: 1, Describe: func() *wire.Edge { return nil }, Backoff: pace.Backoff{Min: time.Second, Max: time.Minute}}
	n.t.Cleanup(client.CloseIdleConnections)
	return u
}

// deliver has one more sample delivered, and returns how many requests failed and how long it took.
func deliver(t *testing.T, u *upload.Uploader) (failures int, took time.Duration) {
	t.Helper()
	fill(t, u.Spool, 1)
	begin := time.Now()
	for {
		_, err := u.Deliver(t.Context())
		if err == nil {
			return failures, time.Since(begin)
		}
		if failures++; failures > 40 {
			t.Fatal(err)
		}
		time.Sleep(u.Wait(err))
	}
}
