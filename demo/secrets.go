package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"

	"sunspool/vps/auth"
	"sunspool/wire"
)

// secrets are what edge and vps have between them: made at the start, good for this run.
type secrets struct {
	token  string
	caFile string // PEM
	tls    *tls.Config
}

// newSecrets makes a certificate authority, a server certificate of it for the loopback and other names, and a token. Only
// the authority's certificate is written down, because the edge wants it as a file. The certificates are valid on every day
// that the demo's clock may show.
func newSecrets(dir string, names ...string) (*secrets, error) {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sunspool demo"},
		NotBefore: wire.Oldest, NotAfter: latest.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    append(names, "localhost"), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, server, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	s := &secrets{
		token:  rand.Text(),
		caFile: filepath.Join(dir, "ca.pem"),
		tls: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		},
	}
	return s, os.WriteFile(s.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600)
}

// makeTokens makes a token for each device beside the first, and one for viewers on other hosts if they may read.
func (s *show) makeTokens(lan bool) (*auth.Tokens, error) {
	s.tokens = map[string]string{}
	var entries []string
	for _, id := range s.devices() {
		token := s.secret.token
		if id != Device {
			token = rand.Text()
		}
		s.tokens[id] = token
		entries = append(entries, token+":"+id)
	}
	viewers := ""
	if lan {
		s.viewer = rand.Text()
		viewers = s.viewer + ":" + strings.Join(s.devices(), "+")
	}
	return auth.ParseTokens(strings.Join(entries, ","), viewers)
}
