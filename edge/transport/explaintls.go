package transport

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"sunspool/health"
)

// explainTLS explains an error of TLS, and reports whether it is one. It does not pass by itself, except where a server has
// no certificate yet.
func explainTLS(f *health.Fault, x *exchangeError) bool {
	if isNoTLS(x.err) {
		f.Code, f.Why = "tls", x.place()+" does not speak TLS on this port"
		f.Next = "check the port in VPS_BASE_URL: it must be the one of https, which the server or a proxy before it has"
		return true
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](x.err); ok && len(bad.UnverifiedCertificates) > 0 {
		f.Code = "tls"
		explainCertificate(f, x, bad)
		return true
	}
	if alert := alertOf(x.err); alert != "" {
		f.Code = "tls"
		explainAlert(f, x, alert)
		return true
	}
	text := x.err.Error()
	i := strings.LastIndex(text, "tls: ")
	if i < 0 || timedOut(x.err) {
		return false
	}
	f.Code, f.Why = "tls", "no TLS with "+x.place()+": "+plainText(text[i+len("tls: "):], x.secrets)
	f.Next = "check what serves TLS there: it must have TLS 1.2 or newer"
	if strings.Contains(text, "unsupported protocol version") {
		f.Why = x.place() + " has no version of TLS that is safe"
	}
	return true
}

// explainCertificate explains why a certificate was not accepted, and names its issuer and what it is for.
func explainCertificate(f *health.Fault, x *exchangeError, bad *tls.CertificateVerificationError) {
	leaf := bad.UnverifiedCertificates[0]
	came := fmt.Sprintf("the certificate of %s is issued by %s for %s", quoteShort(x.host), issuerOf(leaf), subjectOf(leaf))
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(bad.Err, &name):
		f.Why = came + ", which is another name"
		f.Next = "VPS_BASE_URL must use a name that is in the server's certificate"
		if x.verified.cert != nil {
			f.Next = "is it a login page of the network? If the server was changed: " + f.Next
		} else {
			f.Next += "; or is it a login page of the network?"
		}
	case errors.As(bad.Err, &invalid) && invalid.Reason == x509.Expired:
		explainDates(f, x, cmp.Or(invalid.Cert, leaf))
	case errors.As(bad.Err, &invalid):
		f.Why = came + ", and does not count: " + plainText(invalid.Error(), nil)
		f.Next = "have a certificate issued that is one for servers, and whose chain is complete (fullchain.pem)"
	default:
		explainIssuer(f, x, bad.UnverifiedCertificates, came)
	}
	if x.changed(leaf) {
		f.Why += fmt.Sprintf("; until %s it was issued by %s", x.verified.at.Format(time.RFC3339), issuerOf(x.verified.cert))
	}
}

// explainDates explains a certificate that is not valid at the time that is known here.
func explainDates(f *health.Fault, x *exchangeError, cert *x509.Certificate) {
	at := cmp.Or(x.at, now()).UTC()
	if at.Before(cert.NotBefore) {
		f.Why = fmt.Sprintf("the certificate of %s is valid from %s on, and by this host's clock it is %s",
			quoteShort(x.host), date(cert.NotBefore), date(at))
		f.Next = "check the date of this host; if it is right, the server's certificate is dated wrongly"
		return
	}
	f.Why = fmt.Sprintf("the certificate of %s was valid until %s, and by this host's clock it is %s", quoteShort(x.host), date(cert.NotAfter), date(at))
	f.Next = "renew the server's certificate, or have the server read the new one; first check the date of this host"
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// explainIssuer explains a certificate whose issuer is not trusted here.
func explainIssuer(f *health.Fault, x *exchangeError, chain []*x509.Certificate, came string) {
	leaf := chain[0]
	f.Why = came + ", and that authority is not trusted here"
	if x.pinned && !x.atProxy {
		f.Why = fmt.Sprintf("%s, and no certificate that came has the fingerprint of VPS_FINGERPRINT; the last one has %s", came, fingerprintOf(chain[len(chain)-1]))
		f.Next = "compare it with what `sudo sunspool vps fingerprint` prints on the server. If that is another one, somebody is in between; if the server has a new authority, pair this edge again, or set VPS_FINGERPRINT"
		return
	}
	own := "if the server's certificate authority is a private one, name its file in VPS_CA_FILE"
	if x.ownRoots {
		own = "if the server has a new certificate authority, add it to the file in VPS_CA_FILE"
	}
	if x.rootsTrouble != "" {
		f.Why += "; the newest authorities are not used: " + plainText(x.rootsTrouble, nil)
	}
	switch sent := issuerSent(chain); {
	case x.atProxy:
		f.Next = "the proxy's certificate authority must be one of this host, or in the file of VPS_CA_FILE if that is set"
	case x.proxy != "":
		f.Next = "if the proxy inspects TLS, exempt the server by NO_PROXY, or have its certificate authority trusted by this host; else: " + own
	case x.changed(leaf):
		f.Next = "is somebody in between: a login page of the network, or a proxy that inspects TLS? If the server was changed: " + own
	case bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
		f.Next = "is somebody in between: a login page of the network? If it is the server's own certificate, add it to the file in VPS_CA_FILE"
	case !sent:
		f.Next = own + "; or the server does not send its intermediate (fullchain.pem, not cert.pem); or is somebody in between?"
	default:
		f.Next = own + "; or is somebody in between, such as a proxy that inspects TLS?"
	}
}

// fingerprintOf returns the fingerprint of a certificate as VPS_FINGERPRINT has it.
func fingerprintOf(c *x509.Certificate) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(c.Raw)) }

// issuerSent reports whether the issuer of the first certificate is among those that came with it.
func issuerSent(chain []*x509.Certificate) bool {
	for _, c := range chain[1:] {
		if bytes.Equal(c.RawSubject, chain[0].RawIssuer) {
			return true
		}
	}
	return false
}

// changed reports whether the server has shown a certificate of another issuer before.
func (x *exchangeError) changed(leaf *x509.Certificate) bool {
	return x.verified.cert != nil && !bytes.Equal(x.verified.cert.RawIssuer, leaf.RawIssuer)
}

func issuerOf(c *x509.Certificate) string { return nameOf(c.Issuer) }

// subjectOf returns what a certificate is for: its first names, or else its subject.
func subjectOf(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return nameOf(c.Subject)
	case len(names) > 2:
		return quoteShort(names[0]) + fmt.Sprintf(" and %d more names", len(names)-1)
	case len(names) == 2:
		return quoteShort(names[0]) + " and " + quoteShort(names[1])
	}
	return quoteShort(names[0])
}

func nameOf(n pkix.Name) string {
	organization := strings.Join(n.Organization, ", ")
	if n.CommonName != "" && organization != "" {
		return quoteShort(n.CommonName + ", " + organization)
	}
	return quoteShort(cmp.Or(n.CommonName, organization, n.String()))
}

// alertOf returns the text of an alert by which the other end refused TLS, "" if err is none.
func alertOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return op.Err.Error()
	}
	return ""
}

// Alerts of RFC 8446 that have an explanation.
const (
	badCertificate        = tls.AlertError(42)
	protocolVersion       = tls.AlertError(70)
	insufficientSecurity  = tls.AlertError(71)
	internalError         = tls.AlertError(80)
	handshakeFailure      = tls.AlertError(40)
	accessDenied          = tls.AlertError(49)
	unrecognizedName      = tls.AlertError(112)
	certificateRequired   = tls.AlertError(116)
	noApplicationProtocol = tls.AlertError(120)
)

func explainAlert(f *health.Fault, x *exchangeError, alert string) {
	f.Why = fmt.Sprintf("%s refuses TLS: %s", x.place(), strings.TrimPrefix(alert, "tls: "))
	switch alert {
	case certificateRequired.Error(), badCertificate.Error(), accessDenied.Error():
		f.Next = "let the server, or the proxy before it, not ask for a certificate of clients (mTLS): the edge has a token and no certificate"
	case protocolVersion.Error(), insufficientSecurity.Error():
		f.Next = "let the server, or the proxy before it, speak TLS 1.2 or newer"
	case handshakeFailure.Error():
		f.Next = "check the ciphers and versions of TLS of the server; it may also ask for a certificate of clients (mTLS), which the edge does not have"
	case unrecognizedName.Error():
		f.Next = "check the name in VPS_BASE_URL: what serves TLS there has no certificate for it"
	case noApplicationProtocol.Error():
		f.Next = "let the server, or the proxy before it, offer http/1.1 or h2"
	case internalError.Error():
		f.Code = "vps_unreachable" // Caddy and others answer so until they have a certificate
		f.Next = "nothing, if the server is being set up: it may have no certificate for this name yet; if it lasts, see its log"
	default:
		f.Next = "check what serves TLS at VPS_BASE_URL"
	}
}
