package transport_test

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"sunspool/edge/transport"
	"sunspool/edge/upload/uploadtest"
)

// Where a request stands still is named with the address, and so is what that is a sign of.
func TestWhereARequestStandsStillIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		fates     []string
		why, next string
	}{
		"no connection":         {[]string{"192.0.2.1 no connection"}, "192.0.2.1:443 does not answer", "check the address"},
		"none of three":         {[]string{"192.0.2.1 no connection", "192.0.2.2 no connection", "192.0.2.3 no connection"}, "(one of 3 addresses tried)", "check the address"},
		"no handshake":          {[]string{"2001:db8::1 no handshake"}, "[2001:db8::1]:443 takes the connection, and the TLS handshake is not completed", "MTU"},
		"no answer":             {[]string{"192.0.2.1 no answer"}, "192.0.2.1:443 takes the connection, and there is no answer", "MTU"},
		"refused and silent":    {[]string{"192.0.2.1 no connection", "192.0.2.2 refused"}, "192.0.2.2:443 (one of 2 addresses tried) refuses", "it runs"},
		"silent, and handshake": {[]string{"192.0.2.1 no connection", "192.0.2.2 no handshake"}, "192.0.2.2:443 (one of 2 addresses tried) takes the connection", "MTU"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newInternet(t, c.fates...).uploader()
				fill(t, u.Spool, 1)
				_, err := u.Deliver(t.Context())
				expect(t, faultOf(t, err), "vps_unreachable", c.why, c.next)
			})
		})
	}
}

func TestWhatIsWrongWithANameIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		err       error
		why, next string
	}{
		"not found": {&net.DNSError{Err: "no such host", Name: "vps.example.org", IsNotFound: true}, `there is no name "vps.example.org"`, "check the name in VPS_BASE_URL"},
		"silent": {&net.DNSError{Err: "i/o timeout", Name: "vps.example.org", Server: "192.0.2.53:53", IsTimeout: true},
			"by the name server 192.0.2.53:53, which does not answer", "resolv.conf"},
		"SERVFAIL": {&net.DNSError{Err: "server misbehaving", Name: "vps.example.org", Server: "192.0.2.53:53", IsTemporary: true}, "server misbehaving", "resolv.conf"},
		"hostile":  {&net.DNSError{Err: "\x1b[31m\n" + strings.Repeat("x", 1000)}, "could not be resolved", "resolv.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newInternet(t)
				n.dnsErr["ip4"], n.dnsErr["ip6"] = c.err, c.err
				u := n.uploader()
				fill(t, u.Spool, 1)
				_, err := u.Deliver(t.Context())
				expect(t, faultOf(t, err), "vps_unreachable", c.why, c.next)
			})
		})
	}
}

func TestWhatTheSystemRefusesIsNamed(t *testing.T) {
	for errno, want := range map[syscall.Errno][2]string{
		syscall.EHOSTUNREACH: {"there is no route to", "network of this host"},
		syscall.ENETUNREACH:  {"there is no route to", "network of this host"},
		syscall.EPERM:        {"does not allow a connection to", "firewall of this host"},
		syscall.ETIMEDOUT:    {"does not answer", "firewalls"},
		syscall.ECONNRESET:   {"closes the connection at once", "firewall"},
	} {
		f := faultOf(t, transport.DialError("vps.example.org", &net.OpError{Op: "dial", Err: errno}))
		expect(t, f, "vps_unreachable", want[0], want[1])
	}
	f := faultOf(t, errors.New("something \x1b[31m new\n"+strings.Repeat("x", 2000)))
	expect(t, f, "vps_unreachable", "something ?[31m new?", "the samples wait")
}

// A router that forgets a connection: by either protocol it is the connection that is silent.
func TestForgottenConnectionIsNamed(t *testing.T) {
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1"} {
		synctest.Test(t, func(t *testing.T) {
			p := uploadtest.NewPipes()
			u := uploaderOver(t, p, 50, protocol)
			if _, err := u.Deliver(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.Forget()
			_, err := u.Deliver(t.Context())
			expect(t, faultOf(t, err), "vps_unreachable", "127.0.0.1:443 takes the connection, and there is no answer", "MTU")
		})
	}
}
