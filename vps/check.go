package vps

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"sunspool/health"
	"sunspool/wire"
)

const checkTimeout = 4 * time.Second

// Check asks the vps that listens at listen on this machine for a sign of life; the arguments are LISTEN_ADDR and TLS_CERT_FILE.
// It is an error when it does not serve. A store that is away is none: to restart the vps would not bring it back.
func Check(ctx context.Context, listen, certFile string) error {
	unhealthy := func(err error) error {
		return &health.Fault{Code: "unhealthy", What: fmt.Sprintf("the vps at %s does not serve: %v", listen, err)}
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return unhealthy(err)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "" // it listens everywhere, so here too
	}
	transport, scheme := &http.Transport{DisableKeepAlives: true}, "http"
	if certFile != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = itself(certFile); err != nil {
			return unhealthy(err)
		}
	}
	client := &http.Client{Transport: transport, Timeout: checkTimeout}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(cmp.Or(host, "localhost"), port)+wire.HealthPath, nil)
	if err != nil {
		return unhealthy(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return unhealthy(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return unhealthy(fmt.Errorf("GET %s: %s", wire.HealthPath, answer.Status))
	}
	return nil
}

// itself trusts exactly the certificate in file, under whatever name it has: that of this server, which is asked by
// an address that need not be in it. That one is out of date is for its readers to notice.
func itself(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	pool.AddCert(leaf)
	name := ""
	if len(leaf.DNSNames) > 0 {
		name = leaf.DNSNames[0]
	} else if len(leaf.IPAddresses) > 0 {
		name = leaf.IPAddresses[0].String()
	}
	return &tls.Config{RootCAs: pool, ServerName: name, Time: func() time.Time { return leaf.NotBefore.Add(time.Second) }}, nil
}
