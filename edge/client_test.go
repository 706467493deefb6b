package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sunspool/edge/pace"
	"sunspool/wire"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, cert: cert, key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	cert := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if change != nil {
		change(cert)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve answers every request by h over TLS and counts those that bring a token.
func serve(t *testing.T, config *tls.Config, h http.HandlerFunc) (url string, tokens *atomic.Int64) {
	t.Helper()
	tokens = new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Header.Get("Authorization") != "" {
			tokens.Add(1)
		}
		h(w, r)
	}))
	s.TLS, s.Config.ErrorLog = config, log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, tokens
}

func uploadTo(t *testing.T, url, caFile string) error {
	t.Helper()
	client, err := NewClient(caFile)
	if err != nil {
		t.Fatal(err)
	}
	u := &Uploader{Spool: openSpool(t, filepath.Join(t.TempDir(), "spool.db")), Client: client, URL: url + wire.IngestPath,
		Token: &Token{value: "t0ken-0123456789abcdef"}, BatchSize: 30, Describe: func() *wire.Edge { return nil }, Backoff: pace.Backoff{Min: time.Second, Max: time.Second}}
	fill(t, u.Spool, 3)
	_, err = u.Deliver(t.Context())
	if got := u.Spool.Waiting(); (err == nil) != (got == 0) {
		t.Errorf("%v, but %d samples wait", err, got)
	}
	return err
}

func accept(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"inserted":3}`)
}

func TestTokenIsOnlyToldToAVerifiedServer(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	for name, c := range map[string]struct {
		config *tls.Config
		ok     bool
	}{
		"verified":     {&tls.Config{Certificates: []tls.Certificate{ours.issue(nil)}}, true},
		"other signer": {&tls.Config{Certificates: []tls.Certificate{others.issue(nil)}}, false},
		"expired": {&tls.Config{Certificates: []tls.Certificate{ours.issue(func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		})}}, false},
		"not yet valid": {&tls.Config{Certificates: []tls.Certificate{ours.issue(func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Hour)
		})}}, false},
		"other name": {&tls.Config{Certificates: []tls.Certificate{ours.issue(func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"example.org"}
		})}}, false},
		"not for servers": {&tls.Config{Certificates: []tls.Certificate{ours.issue(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})}}, false},
		"TLS 1.1": {&tls.Config{Certificates: []tls.Certificate{ours.issue(nil)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
	} {
		t.Run(name, func(t *testing.T) {
			url, tokens := serve(t, c.config, accept)
			err := uploadTo(t, url, ours.file)
			if (err == nil) != c.ok {
				t.Errorf("upload says %v", err)
			}
			if !c.ok && tokens.Load() > 0 {
				t.Error("the token was sent")
			}
			if f := asFault(explainUpload(err)); !c.ok && (f == nil || f.Next == "") {
				t.Errorf("%v is not explained", err)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}}
	target, tokens := serve(t, config, accept)
	for _, status := range []int{301, 302, 303, 307, 308} {
		url, _ := serve(t, config.Clone(), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target+r.URL.Path, status)
		})
		err := uploadTo(t, url, ca.file)
		if _, ok := err.(*between); !ok {
			t.Errorf("status %d: %T %v", status, err, err)
		}
	}
	if tokens.Load() > 0 {
		t.Errorf("the target of the redirect got the token %d times", tokens.Load())
	}
}

func TestTokenFileOfOthersIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o644: false} {
		os.Remove(file)
		if err := os.WriteFile(file, []byte("t0ken-0123456789abcdef\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chmod(file, mode)
		token, err := NewToken("", file)
		if (err == nil) != ok {
			t.Errorf("mode %v: %v", mode, err)
			continue
		}
		if got, _ := token.Get(); ok && got != "t0ken-0123456789abcdef" {
			t.Errorf("mode %v: %q", mode, got)
		}
	}
	for _, bad := range []string{"", " ", "two words", "new\nline", "ümlaut"} {
		if _, err := NewToken(bad, ""); err == nil {
			t.Errorf("token %q is accepted", bad)
		} else if strings.TrimSpace(bad) != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
}
