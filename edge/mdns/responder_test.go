package mdns

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// record is one of a message that a test sends.
func record(name string, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET | cacheFlush, TTL: 120}, Body: body}
}

func a(name, addr string) dnsmessage.Resource {
	return record(name, &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()})
}

func aaaa(name, addr string) dnsmessage.Resource {
	return record(name, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(addr).As16()})
}

func ptr(name, to string) dnsmessage.Resource {
	return record(name, &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(to)})
}

func srv(name, host string) dnsmessage.Resource {
	return record(name, &dnsmessage.SRVResource{Target: dnsmessage.MustNewName(host), Port: 80})
}

func txt(name string, texts ...string) dnsmessage.Resource {
	return record(name, &dnsmessage.TXTResource{TXT: texts})
}

func answer(t testing.TB, records ...dnsmessage.Resource) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}, Answers: records}
	message, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// home is a network in which devices answer: each has names, and the messages it sends when asked for one.
type home []device

type device struct {
	knows   string // part of a name that it is asked for
	answers [][]byte
}

// querier asks h, over the loopback in place of a network.
func (h home) querier(t *testing.T) *Querier {
	t.Helper()
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.serve(udp)
	}()
	t.Cleanup(func() { udp.Close(); <-done })
	here := link{zone: "test0", local: netip.MustParseAddr("127.0.0.1"), to: udp.LocalAddr().(*net.UDPAddr).AddrPort(),
		prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.168.7.0/24")}}
	return &Querier{links: func() ([]link, error) { return []link{here}, nil }}
}

func (h home) serve(udp *net.UDPConn) {
	buffer := make([]byte, maxPacket)
	for {
		n, from, err := udp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:n]) != nil || m.Response {
			continue
		}
		for _, d := range h {
			for _, q := range m.Questions {
				if strings.Contains(q.Name.String(), d.knows) {
					for _, message := range d.answers {
						udp.WriteToUDPAddrPort(message, from)
					}
					break
				}
			}
		}
	}
}
