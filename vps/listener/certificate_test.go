package listener

import (
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sunspool/internal/vpstest"
)

// TestCertificateFilesAreLookedAtNowAndThen, not for every caller.
func TestCertificateFilesAreLookedAtNowAndThen(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	vpstest.Issue(t, x509.NewCertPool(), 2, certFile, keyFile)
	c, err := NewCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.get(now)
	vpstest.Issue(t, x509.NewCertPool(), 3, certFile, keyFile)
	os.Chtimes(certFile, now, now.Add(time.Hour))
	if got := c.get(now.Add(time.Second)).Leaf.SerialNumber.Int64(); got != 2 {
		t.Errorf("serial %d: the files are looked at for every caller", got)
	}
	if got := c.get(now.Add(certificateCheck)).Leaf.SerialNumber.Int64(); got != 3 {
		t.Errorf("serial %d: the change was not seen", got)
	}
}
