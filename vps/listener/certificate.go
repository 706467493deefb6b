package listener

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"sunspool/health"
)

const certificateCheck = 10 * time.Second // between two checks whether the files have changed

// Certificate is the server's certificate. It is read again when its files change: a renewal needs no restart.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	now     *tls.Certificate
	version string    // of the files that now was read from, or that could not be read last
	checked time.Time // when the files were last checked
}

// NewCertificate reads a certificate chain and its key, PEM. The error is a *health.Fault.
func NewCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	var err error
	c.version = c.fileVersion()
	c.now, err = c.read()
	return c, usable(certFile, keyFile, err)
}

func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.get(time.Now()), nil
		},
	}
}

func (c *Certificate) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	return &pair, err
}

// CheckCertificate reports what is wrong with a certificate and its key, as a *health.Fault.
func CheckCertificate(certFile, keyFile string) error {
	_, err := tls.LoadX509KeyPair(certFile, keyFile)
	return usable(certFile, keyFile, err)
}

// usable returns the fault of err, which is that of reading the files; nil if it is nil.
func usable(certFile, keyFile string, err error) error {
	if err == nil {
		return nil
	}
	return &health.Fault{Code: "config_invalid", Exit: health.ExitConfig,
		What: fmt.Sprintf("the certificate %s with the key %s cannot be used", certFile, keyFile), Why: err.Error(),
		Next: "give the full chain and its key as PEM files that this user can read"}
}

// get returns the certificate at the time now.
func (c *Certificate) get(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		if version := c.fileVersion(); version != c.version {
			c.reload(version)
		}
	}
	return c.now
}

// Expiry returns until when the certificate is valid that is served now.
func (c *Certificate) Expiry() time.Time { return c.get(time.Now()).Leaf.NotAfter }

// Reload reads the files, whether they seem to have changed or not.
func (c *Certificate) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reload(c.fileVersion())
}

// reload reads the files. A pair that does not fit, as between the two writes of a renewal, is logged once, and the old one
// stays in use.
func (c *Certificate) reload(version string) {
	c.version = version
	pair, err := c.read()
	if err != nil {
		c.log.Error("certificate not reloaded, the old one stays", "error", err.Error())
		return
	}
	c.now = pair
	c.log.Info("certificate reloaded", "not_after", pair.Leaf.NotAfter)
}

// fileVersion changes when either file does.
func (c *Certificate) fileVersion() (version string) {
	for _, file := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(file); err == nil {
			version += fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), " ")
		}
	}
	return version
}
