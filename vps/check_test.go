package vps

import (
	"crypto/x509"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckTellsAServerThatServesFromOneThatDoesNot(t *testing.T) {
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	issue(t, x509.NewCertPool(), 1, certFile, keyFile)
	plain := start(t, Config{DeviceTokens: "t-0123456789abcdef:inv-1"})
	https := start(t, Config{DeviceTokens: "t-0123456789abcdef:inv-1", TLSCertFile: certFile, TLSKeyFile: keyFile})
	_, port, _ := net.SplitHostPort(plain.public)
	otherCert, otherKey := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	issue(t, x509.NewCertPool(), 2, otherCert, otherKey)

	for name, c := range map[string]struct{ listen, certFile, wrong string }{
		"plain":               {plain.public, "", ""},
		"listens everywhere":  {"0.0.0.0:" + port, "", ""},
		"listens everywhere6": {"[::]:" + port, "", ""},
		"no host":             {":" + port, "", ""},
		"https":               {https.public, certFile, ""},
		"somebody else":       {https.public, otherCert, "certificate"},
		"https without TLS":   {https.public, "", "does not serve"},
		"no certificate":      {https.public, "/nowhere", "no such file"},
		"nobody":              {"127.0.0.1:1", "", "refused"},
		"no address":          {"8000", "", "missing port"},
	} {
		err := Check(t.Context(), c.listen, c.certFile)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, want %q", name, err, c.wrong)
		}
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := &http.Server{Handler: http.NotFoundHandler()}
	go broken.Serve(l)
	defer broken.Close()
	if err := Check(t.Context(), l.Addr().String(), ""); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("another program: %v", err)
	}
}
