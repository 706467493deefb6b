package edge

import (
	"crypto/x509"
	"errors"
	"net"

	"sunspool/health"
)

// explainNetwork turns what went wrong below HTTP into what the owner of an edge can do about it. f has the code of a
// server that is away, which passes by itself.
func explainNetwork(f *health.Fault, err error) {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var dns *net.DNSError
	switch {
	case errors.As(err, &unknown):
		f.Code, f.Next = "tls", "if the server has a private certificate authority, name its file in VPS_CA_FILE"
	case errors.As(err, &name):
		f.Code, f.Next = "tls", "VPS_BASE_URL must use the name that is in the server's certificate"
	case errors.As(err, &invalid):
		f.Code, f.Next = "tls", "check the date of this host, then the server's certificate"
	case errors.As(err, &dns):
		f.Next = "check the name in VPS_BASE_URL and the name server of this host"
	default:
		f.Next = "nothing, if the server or the network is away: the samples wait"
	}
}
