package transport_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/transport"
	"sunspool/edge/upload"
)

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
					step := map[string]time.Duration{"no connection": transport.NextConnect, "no handshake": transport.NextHandshake}[fate]
					failures, took := deliver(t, u)
					if within := time.Duration(dead)*step + time.Second; failures > int(within/transport.RequestTimeout) || failures == 0 && took > within {
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
					u.Client.Transport.(*transport.Transport).Worked(netip.MustParseAddr(fates[0])) // until now
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
		tr := u.Client.Transport.(*transport.Transport)
		deliver(t, u)
		tr.SetProxied()
		transport := tr.Current()
		for range 60 {
			time.Sleep(10 * time.Second)
			deliver(t, u)
		}
		if tr.Current() == transport {
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
		if f := asFault(upload.Explain(err)); f == nil || f.Code != "vps_unreachable" || !strings.Contains(f.Why, "does not answer") {
			t.Errorf("a day later: %v", upload.Explain(err))
		}
	})
}
