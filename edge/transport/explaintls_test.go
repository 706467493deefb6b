package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
)

// selfSigned returns a certificate as a router or a portal makes one for itself.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(4), Subject: pkix.Name{CommonName: "box"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"fritz.box"}}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// front listens on loopback and lets talk have each connection.
func front(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				talk(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// refuses is an address on which nothing listens: no program is given this port, or takes it for a connection.
const refuses = "127.0.0.1:1"

// alert refuses every handshake with an alert of TLS.
func alert(code byte) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 1<<14))
		conn.Write([]byte{21, 3, 3, 0, 2, 2, code})
		io.Copy(io.Discard, conn)
	}
}

// faultOf returns how a failed upload is explained, and checks what holds for all explanations.
func faultOf(t *testing.T, err error, secrets ...string) *health.Fault {
	t.Helper()
	f := asFault(upload.Explain(err))
	if f == nil {
		t.Fatal("the upload succeeded")
	}
	all := f.Error() + f.Next
	if f.Why == "" || f.Next == "" || len(all) > 1200 || strings.ContainsFunc(all, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("not fit to be shown: %q, next %q", f.Error(), f.Next)
	}
	for _, secret := range append(secrets, "t0ken-0123456789abcdef") {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in %q, next %q", secret, f.Error(), f.Next)
		}
	}
	return f
}

// expect checks a code and that the sentence and what to do have these words.
func expect(t *testing.T, f *health.Fault, code, why, next string) {
	t.Helper()
	if f.Code != code || !strings.Contains(f.Why, why) || !strings.Contains(f.Next, next) {
		t.Errorf("%s: %s\n next: %s\n want %s: ... %s ... next ... %s", f.Code, f.Why, f.Next, code, why, next)
	}
}

func TestWhatIsWrongWithTLSIsNamed(t *testing.T) {
	ca, other := uploadtest.NewAuthority(t), uploadtest.NewAuthority(t)
	middle := ca.Intermediate("R10")
	inspector := other.Intermediate("Fortinet CA")
	certify := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	portal := func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"login.hotel.example"} }
	with := func(c tls.Certificate, more ...*uploadtest.Authority) *tls.Config {
		for _, a := range more {
			c.Certificate = append(c.Certificate, a.Cert.Raw)
		}
		return certify(c)
	}
	mutual := func(most uint16) *tls.Config {
		c := certify(ca.Issue(nil))
		c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, most
		return c
	}
	for name, c := range map[string]struct {
		config          *tls.Config
		code, why, next string
	}{
		"intermediate missing":        {with(middle.Issue(nil)), "tls", `is issued by "R10" for "127.0.0.1"`, "fullchain.pem"},
		"a private authority":         {with(inspector.Issue(nil), inspector), "tls", `issued by "Fortinet CA" for "127.0.0.1"`, "add it to the file in VPS_CA_FILE; or is somebody in between"},
		"self-signed":                 {certify(selfSigned(t)), "tls", `issued by "box" for "fritz.box"`, "login page of the network? If it is the server's own certificate"},
		"portal of another authority": {with(inspector.Issue(portal), inspector), "tls", `issued by "Fortinet CA" for "login.hotel.example", which is another name`, "login page"},
		"another name":                {certify(ca.Issue(portal)), "tls", `for "login.hotel.example", which is another name`, "VPS_BASE_URL must use a name"},
		"expired": {certify(ca.Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })),
			"tls", "was valid until 20", "renew"},
		"not yet valid": {certify(ca.Issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })),
			"tls", "is valid from 20", "check the date of this host"},
		"not for servers": {certify(ca.Issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })),
			"tls", "does not count", "for servers"},
		"mTLS 1.3": {mutual(tls.VersionTLS13), "tls", "certificate required", "mTLS"},
		"mTLS 1.2": {mutual(tls.VersionTLS12), "tls", "handshake failure", "mTLS"},
		"TLS 1.1": {&tls.Config{Certificates: []tls.Certificate{ca.Issue(nil)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			"tls", "protocol version not supported", "TLS 1.2 or newer"},
		"hostile text": {with(other.Intermediate("\x1b[31m\nerror: " + strings.Repeat("long ", 100)).Issue(func(c *x509.Certificate) {
			c.DNSNames = []string{strings.Repeat("a", 60) + "." + strings.Repeat("b", 60), "y", "z"}
			c.IPAddresses = nil
		})), "tls", `\x1b[31m\nerror: long`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			url, tokens := uploadtest.Serve(t, c.config, uploadtest.Accept)
			err := uploads(t, clientTo(t, url, ca.File))
			expect(t, faultOf(t, err), c.code, c.why, c.next)
			if tokens.Load() > 0 {
				t.Error("the token was sent")
			}
		})
	}
	for code, want := range map[byte][3]string{
		40: {"tls", "handshake failure", "ciphers"}, 42: {"tls", "bad certificate", "mTLS"}, 49: {"tls", "access denied", "mTLS"},
		70: {"tls", "protocol version", "TLS 1.2"}, 71: {"tls", "insufficient security", "TLS 1.2"},
		112: {"tls", "unrecognized name", "name in VPS_BASE_URL"}, 116: {"tls", "certificate required", "mTLS"},
		120: {"tls", "no application protocol", "http/1.1"}, 80: {"vps_unreachable", "internal error", "being set up"}, 51: {"tls", "", "check what serves TLS"},
	} {
		err := uploads(t, clientTo(t, "https://"+front(t, alert(code)), ca.File))
		expect(t, faultOf(t, err), want[0], want[1], want[2])
	}
}

// When a server that has answered shows another certificate, both issuers are named.
func TestCertificateThatChangesIsNamed(t *testing.T) {
	ca, other := uploadtest.NewAuthority(t), uploadtest.NewAuthority(t)
	inspector := other.Intermediate("Hotel Wi-Fi")
	good, bad := ca.Issue(nil), inspector.Issue(nil)
	bad.Certificate = append(bad.Certificate, inspector.Cert.Raw)
	shown := good
	url, _ := uploadtest.Serve(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{shown}}, nil
	}}, uploadtest.Accept)
	u := clientTo(t, url, ca.File)
	if err := uploads(t, u); err != nil {
		t.Fatal(err)
	}
	shown = bad
	u.Client.CloseIdleConnections()
	expect(t, faultOf(t, uploads(t, u)), "tls", `it was issued by "test"`, "is somebody in between")
	shown = ca.Issue(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"login.hotel.example"} })
	expect(t, faultOf(t, uploads(t, u)), "tls", `for "login.hotel.example", which is another name`, "is it a login page of the network?")
}

func TestWhatIsWrongWithAConnectionIsNamed(t *testing.T) {
	ca := uploadtest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(nil)}}
	secured := func(talk func(net.Conn)) func(net.Conn) {
		return func(conn net.Conn) {
			c := tls.Server(conn, config)
			if c.Handshake() == nil {
				talk(c)
			}
			c.Close()
		}
	}
	for name, c := range map[string]struct {
		address         string
		code, why, next string
	}{
		"refused": {refuses, "vps_unreachable", refuses + " refuses connections on this port", "check that it runs"},
		"closed in the handshake": {front(t, func(c net.Conn) { c.Read(make([]byte, 1<<14)) }),
			"vps_unreachable", "during the TLS handshake", "a firewall"},
		"reset in the handshake": {front(t, func(c net.Conn) {
			c.Read(make([]byte, 1<<14))
			c.(*net.TCPConn).SetLinger(0)
		}),
			"vps_unreachable", "closes the connection during the TLS handshake", "a firewall"},
		"plain HTTP": {front(t, func(c net.Conn) {
			c.Read(make([]byte, 1<<14))
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		}), "tls", "does not speak TLS", "port in VPS_BASE_URL"},
		"SSH": {front(t, func(c net.Conn) {
			io.WriteString(c, "SSH-2.0-OpenSSH_9.2p1 Debian\r\n")
			c.Read(make([]byte, 1<<14))
		}), "tls", "does not speak TLS", "port in VPS_BASE_URL"},
		"closed after the request": {front(t, secured(func(c net.Conn) { c.Read(make([]byte, 1<<14)) })),
			"vps_unreachable", "closes the connection without an answer", ""},
		"cut within the answer": {front(t, secured(func(c net.Conn) {
			c.Read(make([]byte, 1<<14))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{")
		})), "vps_unreachable", "in the middle of an answer", ""},
		"another protocol in TLS": {front(t, secured(func(c net.Conn) {
			c.Read(make([]byte, 1<<14))
			io.WriteString(c, "* BAD \x1b[31m is no command\r\n")
		})), "endpoint_identity", "speaks TLS, but not HTTP", "port in VPS_BASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			u := clientTo(t, "https://"+c.address, ca.File)
			expect(t, faultOf(t, uploads(t, u)), c.code, c.why, c.next)
		})
	}
}
