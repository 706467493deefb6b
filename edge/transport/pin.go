package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"

	"sunspool/wire"
)

// Trust is by what a server is known: certificate authorities of a file, or one by its fingerprint. The zero Trust is the
// authorities of the system.
type Trust struct {
	CAFile      string // PEM
	Fingerprint string // sha256:HEX of the certificate of an authority
	Pin         []byte // its beginning, as a pairing code has it; at least leastPin bytes
}

const leastPin = 10 // bytes: to find another authority with the same beginning takes longer than anybody has

// ParseFingerprint reads sha256:HEX, also with colons between the bytes and in capital letters, as browsers show it.
func ParseFingerprint(s string) (sum [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(strings.ToLower(s), "sha256:")
	b, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if !ok || err != nil || len(b) != len(sum) {
		return sum, errors.New("a fingerprint is sha256: and 64 hexadecimal digits, as sunspool vps fingerprint prints it")
	}
	return [sha256.Size]byte(b), nil
}

// pinned returns the authority of the fingerprint, once a server has shown it, and no other.
func (r *roots) pinned() *x509.CertPool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pool == nil {
		return x509.NewCertPool()
	}
	return r.pool
}

// Fingerprint returns the fingerprint of the authority by which the server was verified, "" if none is pinned or none was seen.
func (t *Transport) Fingerprint() string {
	t.roots.mu.Lock()
	defer t.roots.mu.Unlock()
	return t.roots.seen
}

// name is what a server of the fingerprint is called in its certificate, "" where that is the host that is asked. Its authority
// signs for no other server, so the name is as good as any, and addresses at home change.
func (r *roots) name() string {
	if r.pin == nil {
		return ""
	}
	return wire.SelfName
}

// learn looks for the authority of the fingerprint in what a server has shown that was not accepted, and reports whether it is
// there for the first time.
func (r *roots) learn(err error) bool {
	bad, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok || r.pin == nil {
		return false
	}
	for _, cert := range bad.UnverifiedCertificates {
		if sum := sha256.Sum256(cert.Raw); !bytes.HasPrefix(sum[:], r.pin) {
			continue
		}
		pool := x509.NewCertPool()
		pool.AddCert(cert)
		r.mu.Lock()
		defer r.mu.Unlock()
		known := r.pool.Equal(pool)
		r.pool, r.seen = pool, fingerprintOf(cert)
		return !known
	}
	return false
}
