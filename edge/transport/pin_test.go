package transport_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/edge/transport"
	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
)

// sent is a server's certificate as one with TLS_SELF sends it.
func sent(t *testing.T, a *uploadtest.Authority, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	cert, _ := a.Own(change)
	return cert
}

func certificateOf(t *testing.T, a *uploadtest.Authority) []byte {
	t.Helper()
	text, err := os.ReadFile(a.File)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return block.Bytes
}

func fingerprint(der []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(der)) }

// pinnedTo returns an uploader to url that knows the server by a fingerprint.
func pinnedTo(t *testing.T, url, fingerprint string) *upload.Uploader {
	t.Helper()
	client, err := transport.NewClient(transport.Trust{Fingerprint: fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	client.Transport.(*transport.Transport).Proxy = nil
	t.Cleanup(client.CloseIdleConnections)
	u := clientTo(t, url, "")
	u.Client = client
	return u
}

// A server is known by the fingerprint of its authority, whatever address it has: no file, and the first request succeeds.
func TestServerIsKnownByTheFingerprintOfItsAuthority(t *testing.T) {
	a := uploadtest.NewAuthority(t)
	url, tokens := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{sent(t, a, nil)}}, uploadtest.Accept)
	fp := fingerprint(certificateOf(t, a))
	for _, written := range []string{fp, strings.ToUpper(fp), "sha256:" + colons(fp)} {
		if err := uploads(t, pinnedTo(t, url, written)); err != nil {
			t.Errorf("%s: %v", written, err)
		}
	}
	if tokens.Load() != 3 {
		t.Errorf("the server got %d tokens, not 3", tokens.Load())
	}
	// The certificate is renewed, by the same authority: nobody notices.
	renewed, _ := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{sent(t, a, func(c *x509.Certificate) { c.NotAfter = c.NotAfter.Add(time.Hour) })}}, uploadtest.Accept)
	if err := uploads(t, pinnedTo(t, renewed, fp)); err != nil {
		t.Errorf("renewed: %v", err)
	}
}

func colons(fp string) string {
	digits := strings.TrimPrefix(fp, "sha256:")
	var pairs []string
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}

// Whoever is in between may send what is public, the authority's certificate, but does not get the token.
func TestNobodyElseGetsTheTokenOfAPinnedServer(t *testing.T) {
	a, thief := uploadtest.NewAuthority(t), uploadtest.NewAuthority(t)
	public := certificateOf(t, a)
	with := func(leaf tls.Certificate, more ...[]byte) tls.Certificate {
		leaf.Certificate = append(leaf.Certificate[:1:1], more...)
		return leaf
	}
	for name, cert := range map[string]tls.Certificate{
		"its own authority":                  sent(t, thief, nil),
		"with the public certificate behind": with(sent(t, thief, nil), public),
		"with both authorities behind":       with(sent(t, thief, nil), certificateOf(t, thief), public),
		"the public certificate as its own":  {Certificate: [][]byte{public}, PrivateKey: sent(t, thief, nil).PrivateKey},
		"without the authority":              with(sent(t, a, nil)),
		"another name":                       sent(t, a, func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }),
		"out of date":                        sent(t, a, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }),
		"not one for servers":                sent(t, a, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
	} {
		url, tokens := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{cert}}, uploadtest.Accept)
		u := pinnedTo(t, url, fingerprint(public))
		for range 3 { // what was learnt of one attempt does not help the next
			f := asFault(upload.Explain(uploads(t, u)))
			if f == nil || f.Code != "tls" && f.Code != "vps_unreachable" {
				t.Errorf("%s: %v", name, f)
			}
		}
		if tokens.Load() != 0 {
			t.Errorf("%s: it got the token", name)
		}
	}
}

// The error has both fingerprints' places: what to compare and where.
func TestAWrongFingerprintIsExplained(t *testing.T) {
	a := uploadtest.NewAuthority(t)
	url, _ := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{sent(t, a, nil)}}, uploadtest.Accept)
	f := asFault(upload.Explain(uploads(t, pinnedTo(t, url, fingerprint([]byte("another"))))))
	if f == nil || f.Code != "tls" || !strings.Contains(f.Why, fingerprint(certificateOf(t, a))) || !strings.Contains(f.Next, "sunspool vps fingerprint") {
		t.Errorf("%+v", f)
	}
	for _, wrong := range []string{"abc", "sha256:abc", strings.Repeat("ab", 32), "sha1:" + strings.Repeat("ab", 32), "sha256:" + strings.Repeat("ab", 33)} {
		if _, err := transport.NewClient(transport.Trust{Fingerprint: wrong}); err == nil || !strings.Contains(err.Error(), "VPS_FINGERPRINT") {
			t.Errorf("%q is taken: %v", wrong, err)
		}
	}
}

// The system's authorities and files do not count beside a fingerprint.
func TestAFingerprintIsTheOnlyTrust(t *testing.T) {
	a := uploadtest.NewAuthority(t)
	t.Setenv("SSL_CERT_FILE", a.File)
	t.Setenv("SSL_CERT_DIR", filepath.Dir(a.File))
	url, tokens := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{a.Issue(nil)}}, uploadtest.Accept)
	if err := uploads(t, pinnedTo(t, url, fingerprint([]byte("another")))); err == nil || tokens.Load() != 0 {
		t.Errorf("a server that the system trusts was accepted: %v", err)
	}
}
