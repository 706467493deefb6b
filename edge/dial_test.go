package edge

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
	"testing/synctest"
	"time"

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
	pipes   *pipes
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
	s := &site{pipes: newPipes(), fate: fate, patient: make(chan struct{})}
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
	conn, err := s.pipes.dial(ctx, network, address)
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
func (n *internet) uploader() *Uploader {
	n.t.Helper()
	client, err := NewClient(newAuthority(n.t).file)
	if err != nil {
		n.t.Fatal(err)
	}
	tr := client.Transport.(*HTTPTransport)
	tr.Lookup, tr.Dial, tr.secure, tr.Proxy = n.lookup, n.dial, n.handshake, nil
	u := &Uploader{Spool: openSpool(n.t, filepath.Join(memoryDir(n.t), "spool.db")), Client: client, URL: "https://vps.example.org" + wire.IngestPath,
		Token: &Token{value: "t0ken-0123456789abcdef"}, BatchSize: 1, Describe: func() *wire.Edge { return nil }, Backoff: Backoff{Min: time.Second, Max: time.Minute}}
	n.t.Cleanup(client.CloseIdleConnections)
	return u
}

// deliver has one more sample delivered, and returns how many requests failed and how long it took.
func deliver(t *testing.T, u *Uploader) (failures int, took time.Duration) {
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

// A name with two A records, the first of which swallows packets, was never delivered to.
func TestEveryAddressOfANameIsTried(t *testing.T) {
	for _, dead := range []int{1, 2, 9, 40} {
		for _, fate := range []string{"no connection", "no handshake", "refused"} {
			t.Run(fmt.Sprintf("%d with %s", dead, fate), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var fates []string
					for i := range dead {
						fates = append(fates, fmt.Sprintf("192.0.2.%d %s", i+1, fate))
					}
					n := newInternet(t, append(fates, "192.0.2.200")...)
					u := n.uploader()
					step := map[string]time.Duration{"no connection": nextConnect, "no handshake": nextHandshake}[fate]
					failures, took := deliver(t, u)
					if within := time.Duration(dead)*step + time.Second; failures > int(within/requestTimeout) || failures == 0 && took > within {
						t.Errorf("%d requests failed, delivered after %v, want %v", failures, took, within)
					}
					n.dialed()
					u.Client.CloseIdleConnections()
					synctest.Wait()
					if failures, _ := deliver(t, u); failures > 0 || n.dialed() != "192.0.2.200" {
						t.Error("the address that worked is not the first of the next connection")
					}
				})
			})
		}
	}
}

// Of more addresses than there is time for in a request, each request tries others.
func TestManyDeadAddressesAreGoneThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fates []string
		for i := range 250 {
			fates = append(fates, fmt.Sprintf("192.0.2.%d no connection", i+1))
		}
		u := newInternet(t, append(fates, "198.51.100.1")...).uploader()
		if failures, took := deliver(t, u); failures > 3 {
			t.Errorf("%d failures, %v", failures, took)
		}
	})
}

// IPv6 that connects but loses large packets, and the same the other way round: the other family is used, at once and for
// an hour; then the first is not tried either, because the other one works.
func TestOtherFamilyIsUsedWhereOneStalls(t *testing.T) {
	for _, fates := range [][2]string{{"2001:db8::1", "192.0.2.1"}, {"192.0.2.1", "2001:db8::1"}} {
		for _, fate := range []string{"no handshake", "no answer"} {
			t.Run(fates[0]+" "+fate, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newInternet(t, fates[0]+" "+fate, fates[1])
					u := n.uploader()
					u.Client.Transport.(*HTTPTransport).paths.worked(netip.MustParseAddr(fates[0])) // until now
					failures, took := deliver(t, u)
					if fate == "no handshake" && (failures > 0 || took > 4*time.Second) || failures > 1 {
						t.Errorf("%d failures, %v", failures, took)
					}
					for range 3 {
						n.dialed()
						u.Client.CloseIdleConnections()
						time.Sleep(25 * time.Minute)
						if failures, took := deliver(t, u); failures > 0 || took > time.Second || n.dialed() != fates[1] {
							t.Errorf("later: %d failures, %v", failures, took)
						}
					}
				})
			})
		}
	}
}

// When the path that was left for another one is the only one that works, it is taken again.
func TestStalledAddressIsTakenWhenItAloneIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t, "2001:db8::1 no handshake", "2001:db8::2 no handshake", "192.0.2.1")
		u := n.uploader()
		deliver(t, u)
		n.set("2001:db8::1", "")
		n.set("192.0.2.1", "no handshake")
		u.Client.CloseIdleConnections()
		if failures, took := deliver(t, u); failures > 1 || n.served("2001:db8::1") != 1 {
			t.Errorf("%d failures, %v", failures, took)
		}
	})
}

// The connection goes with its name, within ten minutes, also while the old server goes on answering.
func TestConnectionFollowsItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t, "192.0.2.1")
		n.add("192.0.2.2", "")
		u := n.uploader()
		deliver(t, u)
		n.name("192.0.2.2")
		begin := time.Now()
		for n.served("192.0.2.2") == 0 {
			time.Sleep(10 * time.Second)
			if failures, _ := deliver(t, u); failures > 0 {
				t.Fatal("a request failed")
			}
			if time.Since(begin) > 10*time.Minute {
				t.Fatal("after ten minutes the old server still gets the samples")
			}
		}
		old := n.served("192.0.2.1")
		time.Sleep(time.Minute)
		if deliver(t, u); n.served("192.0.2.1") != old {
			t.Error("the old server gets samples again")
		}
	})
}

// A connection whose name still has its address, or cannot be resolved, is kept.
func TestConnectionStaysWithItsName(t *testing.T) {
	for name, change := range map[string]func(*internet){
		"one more address": func(n *internet) { n.name("192.0.2.2", "192.0.2.1") },
		"no name server":   func(n *internet) { n.silent["ip4"], n.silent["ip6"] = true, true },
		"no such name":     func(n *internet) { n.name() },
		"an error":         func(n *internet) { n.dnsErr["ip4"] = &net.DNSError{Err: "server misbehaving", IsTemporary: true} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newInternet(t, "192.0.2.1")
				u := n.uploader()
				deliver(t, u)
				before := n.lookups
				change(n)
				n.dialed()
				for range 150 {
					time.Sleep(10 * time.Second)
					if failures, took := deliver(t, u); failures > 0 || took > 6*time.Second {
						t.Fatalf("%d failures, %v", failures, took)
					}
				}
				if dials := n.dialed(); dials != "" {
					t.Errorf("dialed %s", dials)
				}
				if asked := (n.lookups - before) / 2; asked < 2 || asked > 30 {
					t.Errorf("the name was looked up %d times in 25 minutes", asked)
				}
			})
		})
	}
}

// Through a proxy the name is the proxy's to resolve, which it does for each connection.
func TestConnectionThroughAProxyIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newInternet(t, "192.0.2.1").uploader()
		tr := u.Client.Transport.(*HTTPTransport)
		deliver(t, u)
		tr.mu.Lock()
		tr.connected.proxied = true
		tr.mu.Unlock()
		transport := tr.current()
		for range 60 {
			time.Sleep(10 * time.Second)
			deliver(t, u)
		}
		if tr.current() == transport {
			t.Error("a connection through a proxy is ten minutes old")
		}
	})
}

// While no name server answers, a new connection goes to the addresses of the last answer; a name server that is silent
// about one family does not hold up the other.
func TestSilentNameServerHoldsUpNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t, "192.0.2.1")
		u := n.uploader()
		n.silent["ip6"] = true
		if failures, took := deliver(t, u); failures > 0 || took > 3*time.Second {
			t.Errorf("no answer about IPv6: %d failures, %v", failures, took)
		}
		n.mu.Lock()
		n.silent["ip4"] = true
		n.mu.Unlock()
		u.Client.CloseIdleConnections()
		time.Sleep(time.Hour)
		if failures, took := deliver(t, u); failures > 0 || took > 11*time.Second {
			t.Errorf("no answer at all: %d failures, %v", failures, took)
		}
		u.Client.CloseIdleConnections()
		time.Sleep(25 * time.Hour)
		fill(t, u.Spool, 1)
		_, err := u.Deliver(t.Context())
		if f := asFault(explainUpload(err)); f == nil || f.Code != "vps_unreachable" {
			t.Errorf("a day later: %v", explainUpload(err))
		}
	})
}
