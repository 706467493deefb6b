// Package authority makes the certificate of a server that has no domain: an authority of its own, which edges know by its
// fingerprint, and a certificate by it that is renewed in time. Both are files in the data directory.
//
//	authority.pem (key, for 25 years) ──signs──> tls.pem (certificate, authority, key) ──> package listener
//	      └── fingerprint ──> VPS_FINGERPRINT of the edges
package authority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/internal/durable"
	"sunspool/wire"
)

const (
	authorityFile   = "authority.pem"
	certificateFile = "tls.pem"

	day            = 24 * time.Hour
	authorityFor   = 25 * 365 * day
	certificateFor = 397 * day // the most that browsers take
	renewBefore    = 60 * day
	checkEvery     = time.Hour
	backdated      = 2 * day // clocks of edges differ
)

// suffixes are what the authority may sign names below: those that nobody owns. So a device that trusts it for this server
// trusts it for no site of the internet, even if its key is stolen.
var suffixes = []string{"internal", "local", "localhost", "home.arpa", "lan", "home", "fritz.box"}

// networks are those that it may sign addresses of: no public ones.
var networks = []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10"}

// Authority signs the certificate of this server.
type Authority struct {
	Log   *slog.Logger
	Now   func() time.Time
	Names func() ([]string, []net.IP) // of this host; ThisHost

	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// Open reads the authority in dir, and makes it when there is none. It is never replaced: edges know it.
func Open(dir string, log *slog.Logger) (*Authority, error) {
	a, err := Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		a = &Authority{dir: dir, Log: log}
		a.defaults()
		if err = a.found(); err != nil {
			err = a.unusable(err)
		}
	}
	if err != nil {
		return nil, err
	}
	a.Log = log
	return a, nil
}

// Read reads the authority in dir. The error is one of fs.ErrNotExist where there is none.
func Read(dir string) (*Authority, error) {
	a := &Authority{dir: dir, Log: slog.New(slog.DiscardHandler)}
	a.defaults()
	text, err := os.ReadFile(a.path(authorityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		a.cert, a.key, err = parse(text)
	}
	if err != nil {
		return nil, a.unusable(err)
	}
	return a, nil
}

func (a *Authority) defaults() { a.Now, a.Names = time.Now, ThisHost }

// unusable is the fault of err.
func (a *Authority) unusable(err error) error {
	f := &health.Fault{Code: "authority_unusable", Exit: health.ExitConfig, What: "the certificate authority of this server, " + a.path(authorityFile) + ", cannot be used",
		Err: err, Why: err.Error(), Next: "let the user of the server write DATA_DIR; a file that is damaged is restored from a backup"}
	if errors.Is(err, errNotOurs) {
		f.Next = "restore the file from a backup; without one, delete it, start the server and pair every edge again: they know the server by it"
	}
	return f
}

var errNotOurs = errors.New("it is not one that this program wrote")

// parse reads a certificate and its key.
func parse(text []byte) (cert *x509.Certificate, key crypto.Signer, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE" && cert == nil:
			cert, err = x509.ParseCertificate(block.Bytes)
		case block.Type == "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errNotOurs, err)
		}
	}
	if cert == nil || key == nil {
		return nil, nil, errNotOurs
	}
	if public, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(key.Public()) {
		return nil, nil, fmt.Errorf("%w: the key is not that of the certificate", errNotOurs)
	}
	return cert, key, nil
}

// found makes a new authority and writes it.
func (a *Authority) found() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "sunspool of " + hostname(), Organization: []string{"sunspool"}},
		NotBefore: a.Now().Add(-backdated), NotAfter: a.ends(authorityFor),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: slices.Clone(suffixes),
	}
	if name := hostname(); !strings.Contains(name, ".") {
		template.PermittedDNSDomains = append(template.PermittedDNSDomains, name)
	}
	for _, network := range networks {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			return err
		}
		template.PermittedIPRanges = append(template.PermittedIPRanges, n)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	text, err := encode(key, der)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	if err := durable.Replace(a.path(authorityFile), text, 0o600, true); err != nil {
		return err
	}
	a.Log.Info("certificate authority made", "file", a.path(authorityFile))
	a.cert, a.key, err = parse(text)
	return err
}

// ends is when a certificate of now ends. A host without a battery for its clock may believe that it is 1970.
func (a *Authority) ends(after time.Duration) time.Time {
	at := a.Now()
	if written := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(written) {
		at = written
	}
	return at.Add(after)
}

// Fingerprint is what edges know the server by: sha256 of the authority's certificate.
func (a *Authority) Fingerprint() string {
	sum := a.Sum()
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Sum is the fingerprint in bytes.
func (a *Authority) Sum() [sha256.Size]byte { return sha256.Sum256(a.cert.Raw) }

// File is where the certificate with its chain and its key is.
func (a *Authority) File() string { return File(a.dir) }

// File is where the certificate of an authority in dir is.
func File(dir string) string { return filepath.Join(dir, certificateFile) }

// Certificate is the authority's own, PEM, for devices that are to trust it.
func (a *Authority) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Run renews the certificate in time, until ctx ends.
func (a *Authority) Run(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := a.Renew(); err != nil {
			a.Log.Error("certificate not renewed, the old one stays", "error", err.Error())
		}
	}
}

// Renew writes a new certificate if there is none, if the old one ends soon or is not valid yet, or if it lacks a name or an
// address of this host.
func (a *Authority) Renew() error {
	names, ips := a.permitted(a.Names())
	text, err := os.ReadFile(a.File())
	if err == nil {
		if leaf, _, err := parse(text); err == nil && a.good(leaf, names, ips) {
			return nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return a.sign(names, ips)
}

// good reports whether a certificate is fit for now and for what this host is called.
func (a *Authority) good(leaf *x509.Certificate, names []string, ips []net.IP) bool {
	at := a.Now()
	if leaf.CheckSignatureFrom(a.cert) != nil || at.Before(leaf.NotBefore) || at.Add(renewBefore).After(leaf.NotAfter) {
		return false
	}
	lacks := func(name string) bool { return leaf.VerifyHostname(name) != nil }
	return !slices.ContainsFunc(names, lacks) && !slices.ContainsFunc(ips, func(ip net.IP) bool { return lacks(ip.String()) })
}

// permitted returns those names and addresses that the authority may sign, and the name that edges ask for. One that it may
// not would spoil the whole certificate.
func (a *Authority) permitted(names []string, ips []net.IP) ([]string, []net.IP) {
	names = slices.DeleteFunc(append([]string{wire.SelfName, "localhost"}, names...), func(name string) bool {
		return !slices.ContainsFunc(a.cert.PermittedDNSDomains, func(domain string) bool {
			return name == domain || strings.HasSuffix(name, "."+domain)
		})
	})
	ips = slices.DeleteFunc(append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, ips...), func(ip net.IP) bool {
		return !slices.ContainsFunc(a.cert.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip) })
	})
	return names, ips
}

// sign writes a certificate with these names.
func (a *Authority) sign(names []string, ips []net.IP) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "sunspool"},
		NotBefore: a.Now().Add(-backdated), NotAfter: a.ends(certificateFor),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: names, IPAddresses: ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	text, err := encode(key, der, a.cert.Raw)
	if err != nil {
		return err
	}
	if err := durable.Replace(a.File(), text, 0o600, true); err != nil {
		return err
	}
	a.Log.Info("certificate made", "names", strings.Join(names, " "), "addresses", fmt.Sprint(ips), "not_after", template.NotAfter)
	return nil
}

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

// encode writes certificates and a key as one PEM file.
func encode(key *ecdsa.PrivateKey, certs ...[]byte) ([]byte, error) {
	var b bytes.Buffer
	for _, der := range certs {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	err = pem.Encode(&b, &pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return b.Bytes(), err
}

func serialNumber() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

func hostname() string {
	name, err := os.Hostname()
	name = strings.ToLower(name)
	if err != nil || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Trim(name, "-.") != name || name == "" {
		return "localhost"
	}
	return name
}

// ThisHost returns the names and the addresses by which others at home reach this host.
func ThisHost() (names []string, ips []net.IP) {
	name := hostname()
	names = []string{name}
	if short, _, _ := strings.Cut(name, "."); short != "localhost" {
		names = append(names, short+".local")
	}
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if n, ok := addr.(*net.IPNet); ok && n.IP.IsPrivate() { // others change by the day, or are the same in every network
			ips = append(ips, n.IP)
		}
	}
	return names, ips
}
