package mdns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const winet = "WiNet-WebServer._http._tcp.local."

// A dongle is found however its firmware answers: all at once, in parts, or by its host name alone.
func TestDonglesAreFound(t *testing.T) {
	full := Dongle{Name: "WiNet-WebServer", Host: "winet-webserver.local", Addr: netip.MustParseAddr("192.168.7.9"), Model: "WiNet-S", Serial: "B2312345678"}
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		home home
		want []Dongle
	}{
		"at once": {home{{"_http._tcp.local", [][]byte{answer(t, ptr(webService, winet), srv(winet, "WiNet-WebServer.local."), txt(winet, "SN=B2312345678", "Model=WiNet-S"), a("WiNet-WebServer.local.", "192.168.7.9"))}}},
			[]Dongle{full}},
		"in parts": {home{
			{"_http._tcp.local", [][]byte{answer(t, ptr(webService, "WiNet-WebServer-2._http._tcp.local."))}},
			{"webserver-2._http", [][]byte{answer(t, srv("WiNet-WebServer-2._http._tcp.local.", "espressif.local.")), answer(t, txt("WiNet-WebServer-2._http._tcp.local.", "device_model=WiNet-S2"))}},
			{"espressif.local", [][]byte{answer(t, aaaa("espressif.local.", "fe80::1")), answer(t, a("espressif.local.", "192.168.7.10"))}},
		}, []Dongle{{Name: "WiNet-WebServer-2", Host: "espressif.local", Addr: netip.MustParseAddr("192.168.7.10"), Model: "WiNet-S2"}}},
		"by its host name": {home{{"winet-webserver.local", [][]byte{answer(t, a("WiNet-WebServer.local.", "192.168.7.9"))}}},
			[]Dongle{{Name: "winet-webserver", Host: "winet-webserver.local", Addr: netip.MustParseAddr("192.168.7.9")}}},
		"by IPv6 alone": {home{{"winet-webserver.local", [][]byte{answer(t, aaaa("WiNet-WebServer.local.", "fe80::2"))}}},
			[]Dongle{{Name: "winet-webserver", Host: "winet-webserver.local", Addr: netip.MustParseAddr("fe80::2%test0")}}},
		"a printer is none":                {home{{"_http._tcp.local", [][]byte{answer(t, ptr(webService, "Printer._http._tcp.local."), srv("Printer._http._tcp.local.", "printer.local."), a("printer.local.", "192.168.7.11"))}}}, nil},
		"an address elsewhere is not used": {home{{"winet-webserver.local", [][]byte{answer(t, a("WiNet-WebServer.local.", "203.0.113.9"))}}}, nil},
		"what it announces may be anything": {home{{"_http._tcp.local", [][]byte{answer(t, ptr(webService, winet), srv(winet, "w.local."), txt(winet, "sn=\x1b[2Jü", "model="), a("w.local.", "192.168.7.9"))}}},
			[]Dongle{{Name: "WiNet-WebServer", Host: "w.local", Addr: netip.MustParseAddr("192.168.7.9"), Model: "?", Serial: "?[2J?"}}},
	} {
		q := c.home.querier(t)
		all.Go(func() { // each waits
			var got []Dongle
			var err error
			if !inTime(func() bool {
				got, err = q.Find(t.Context())
				return err == nil && slices.Equal(got, c.want)
			}) {
				t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
			}
		})
	}
	all.Wait()
}

// inTime reports whether a question is answered: a machine that stands still for a second misses an answer, and asks again.
func inTime(answered func() bool) bool {
	for range 10 {
		if answered() {
			return true
		}
	}
	return false
}

// A name has the addresses that its device answers, IPv4 first; one that nothing answers to is not found.
func TestNamesAreLookedUp(t *testing.T) {
	q := home{{"winet", [][]byte{{1, 2, 3}, answer(t, aaaa("winet.local.", "fe80::2"), a("WINET.local.", "192.168.7.9"), a("other.local.", "192.168.7.10"))}}}.querier(t)
	const want = "[192.168.7.9 fe80::2%test0]"
	var addrs []netip.Addr
	var err error
	if !inTime(func() bool {
		addrs, err = q.Lookup(t.Context(), "WiNet.local")
		return err == nil && fmt.Sprint(addrs) == want
	}) {
		t.Errorf("%v, %v, want %s", addrs, err, want)
	}
	var dns *net.DNSError
	if addrs, err := q.Lookup(t.Context(), "nobody.local"); !errors.As(err, &dns) || !dns.IsNotFound {
		t.Errorf("%v, %v", addrs, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Lookup(ctx, "nobody.local"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Only who is in the network of the interface is believed, and only with addresses in it.
func TestOnlyTheLinkIsBelieved(t *testing.T) {
	l := link{prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.7.3/24"), netip.MustParsePrefix("fd00:7::3/64")}}
	for addr, want := range map[string]bool{
		"192.168.7.9": true, "::ffff:192.168.7.9": true, "fd00:7::9": true, "fe80::9": true, "fe80::9%eth0": true, "169.254.3.4": true,
		"192.168.8.9": false, "8.8.8.8": false, "fd00:8::9": false, "2001:db8::1": false, "127.0.0.1": false, "::1": false, "0.0.0.0": false, "224.0.0.251": false,
	} {
		if l.has(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s: %v, want %v", addr, !want, want)
		}
	}
}

func TestInterfacesBecomeLinks(t *testing.T) {
	network := func(cidr string) net.Addr {
		ip, n, err := net.ParseCIDR(cidr)
		if err != nil {
			t.Fatal(err)
		}
		n.IP = ip
		return n
	}
	links := linksOf(net.Interface{Name: "eth0"}, []net.Addr{network("192.168.7.3/24"), network("fd00:7::3/64"), network("fe80::3/64")})
	if len(links) != 2 || links[0].local.String() != "192.168.7.3" || links[0].to.String() != "224.0.0.251:5353" || links[1].local.String() != "fe80::3%eth0" || links[1].to.String() != "[ff02::fb%eth0]:5353" {
		t.Errorf("%+v", links)
	}
	if links := linksOf(net.Interface{Name: "eth1"}, nil); len(links) != 0 {
		t.Errorf("%+v", links)
	}
}

// A name of .local goes to the system first, then to the network; the last address serves while neither answers, and no two
// connections are opened at a time.
func TestNamesOfTheNetworkAreDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, public := netip.MustParseAddr("192.168.7.9"), netip.MustParseAddr("203.0.113.9")
		missing := &net.DNSError{Err: "no such host", IsNotFound: true}
		var system, network []netip.Addr
		var dialled []string
		open := 0
		n := &Names{
			System: func(ctx context.Context, _, host string) ([]netip.Addr, error) {
				if host == "slow.local" {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				if system == nil {
					return nil, missing
				}
				return system, nil
			},
			Ask: func(context.Context, string) ([]netip.Addr, error) {
				if network == nil {
					return nil, missing
				}
				return network, nil
			},
			Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
				if open++; open > 1 {
					t.Error("two connections at a time")
				}
				defer func() { open-- }()
				dialled = append(dialled, address)
				if address == "[fd00::9]:502" {
					<-ctx.Done()
					return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
				}
				ours, _ := net.Pipe()
				return ours, nil
			},
		}
		dial := func(address, want string) {
			t.Helper()
			dialled = nil
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := n.DialContext(ctx, "tcp", address)
			if got := fmt.Sprint(dialled); got != want || (err == nil) != (len(dialled) > 0) {
				t.Errorf("%s dials %s, want %s: %v", address, got, want, err)
			}
		}
		dial("192.168.7.1:502", "[192.168.7.1:502]") // nothing is asked
		dial("winet.lan:502", "[winet.lan:502]")
		dial("winet.local:502", "[]")
		system = []netip.Addr{public} // a provider that answers to everything
		dial("winet.local:502", "[]")
		network = []netip.Addr{here}
		dial("winet.local:502", "[192.168.7.9:502]")
		dial("slow.local:502", "[192.168.7.9:502]")
		dial("WiNet.local.:502", "[192.168.7.9:502]")
		network = nil
		dial("WiNet.local.:502", "[192.168.7.9:502]") // as it was
		time.Sleep(staleFor)
		dial("WiNet.local.:502", "[]")
		system = []netip.Addr{netip.MustParseAddr("192.168.7.4")}
		dial("winet.local:502", "[192.168.7.4:502]")
		system = []netip.Addr{netip.MustParseAddr("fd00::9"), netip.MustParseAddr("fd00::8")}
		dial("winet.local:502", "[[fd00::9]:502 [fd00::8]:502]") // the first has its share of the time
	})
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0x84, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0xC0, 12})
	f.Add(answer(f, ptr(webService, winet), srv(winet, "winet.local."), txt(winet, "sn=1", ""), a("winet.local.", "192.168.7.9"), aaaa("winet.local.", "fe80::1")))
	f.Add(answer(f, record("x.local.", &dnsmessage.UnknownResource{Type: 47, Data: []byte{1, 2}}), a("winet-webserver.local.", "192.168.7.9")))
	l := &link{zone: "test0", prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")}}
	f.Fuzz(func(t *testing.T, message []byte) {
		r := newRecords()
		r.add(message, l)
		r.add(message, l)
		questions(open(r))
		for _, d := range r.dongles() {
			if !l.has(d.Addr) || printable(d.Name) != d.Name {
				t.Errorf("%+v", d)
			}
		}
	})
}

// A name is known as soon as it is answered, also where one device answers without end.
func TestFloodOfAnswersDelaysNothing(t *testing.T) {
	many := make([][]byte, 300)
	for i := range many {
		many[i] = answer(t, a(fmt.Sprintf("host-%d.local.", i), "192.168.7.10"))
	}
	many[0] = answer(t, a("winet.local.", "192.168.7.9"))
	q := home{{"winet", many}}.querier(t)
	begun := time.Now()
	var addrs []netip.Addr
	var err error
	if !inTime(func() bool {
		addrs, err = q.Lookup(t.Context(), "winet.local")
		return err == nil && len(addrs) == 1
	}) {
		t.Errorf("%v, %v", addrs, err)
	}
	t.Logf("after %v", time.Since(begun))
}
