package fallbackroots

import (
	"crypto/x509"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// A host without roots verifies by those of the program once Use is called, and not before.
func TestHostWithoutRootsVerifiesByTheProgram(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this system may verify by itself")
	}
	t.Setenv("SSL_CERT_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("SSL_CERT_DIR", filepath.Join(t.TempDir(), "none"))
	verified := func() (n int) {
		for root := range bundle.Roots() {
			cert, err := x509.ParseCertificate(root.Certificate)
			if err != nil {
				t.Fatal(err)
			}
			if root.Constraint != nil {
				continue
			}
			if _, err := cert.Verify(x509.VerifyOptions{CurrentTime: cert.NotBefore.Add(time.Hour)}); err == nil {
				n++
			}
		}
		return n
	}
	if n := verified(); n > 0 {
		t.Fatalf("%d authorities are trusted before: this host has roots all the same", n)
	}
	Use()
	Use()
	if n := verified(); n < 50 {
		t.Errorf("%d authorities of the program are trusted", n)
	}
}
