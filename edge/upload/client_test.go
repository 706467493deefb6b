package upload

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"sunspool/edge/pace"
	"sunspool/edge/token"
	"sunspool/edge/transport"
	"sunspool/edge/upload/uploadtest"
	"sunspool/wire"
)

func uploadTo(t *testing.T, url, caFile string) error {
	t.Helper()
	client, err := transport.NewClient(transport.Trust{CAFile: caFile})
	if err != nil {
		t.Fatal(err)
	}
	u := &Uploader{Spool: openSpool(t, filepath.Join(t.TempDir(), "spool.db")), Client: client, URL: url + wire.IngestPath,
		Token: &token.Source{Value: "t0ken-0123456789abcdef"}, BatchSize: 30, Describe: func() *wire.Edge { return nil }, Backoff: pace.Backoff{Min: time.Second, Max: time.Second}}
	fill(t, u.Spool, 3)
	_, err = u.Deliver(t.Context())
	if got := u.Spool.Waiting(); (err == nil) != (got == 0) {
		t.Errorf("%v, but %d samples wait", err, got)
	}
	return err
}

func TestTokenIsOnlyToldToAVerifiedServer(t *testing.T) {
	ours, others := uploadtest.NewAuthority(t), uploadtest.NewAuthority(t)
	for name, c := range map[string]struct {
		config *tls.Config
		ok     bool
	}{
		"verified":     {&tls.Config{Certificates: []tls.Certificate{ours.Issue(nil)}}, true},
		"other signer": {&tls.Config{Certificates: []tls.Certificate{others.Issue(nil)}}, false},
		"expired": {&tls.Config{Certificates: []tls.Certificate{ours.Issue(func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		})}}, false},
		"not yet valid": {&tls.Config{Certificates: []tls.Certificate{ours.Issue(func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Hour)
		})}}, false},
		"other name": {&tls.Config{Certificates: []tls.Certificate{ours.Issue(func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"example.org"}
		})}}, false},
		"not for servers": {&tls.Config{Certificates: []tls.Certificate{ours.Issue(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})}}, false},
		"TLS 1.1": {&tls.Config{Certificates: []tls.Certificate{ours.Issue(nil)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
	} {
		t.Run(name, func(t *testing.T) {
			url, tokens := uploadtest.Serve(t, c.config, uploadtest.Accept)
			err := uploadTo(t, url, ours.File)
			if (err == nil) != c.ok {
				t.Errorf("upload says %v", err)
			}
			if !c.ok && tokens.Load() > 0 {
				t.Error("the token was sent")
			}
			if f := asFault(Explain(err)); !c.ok && (f == nil || f.Next == "") {
				t.Errorf("%v is not explained", err)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	ca := uploadtest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(nil)}}
	target, tokens := uploadtest.Serve(t, config, uploadtest.Accept)
	for _, status := range []int{301, 302, 303, 307, 308} {
		url, _ := uploadtest.Serve(t, config.Clone(), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target+r.URL.Path, status)
		})
		err := uploadTo(t, url, ca.File)
		if _, ok := err.(*intermediary); !ok {
			t.Errorf("status %d: %T %v", status, err, err)
		}
	}
	if tokens.Load() > 0 {
		t.Errorf("the target of the redirect got the token %d times", tokens.Load())
	}
}
