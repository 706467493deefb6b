package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"

	"sunspool/health"
)

// Explain adds to f, by an error below HTTP, what the owner of an edge can do about it. f has the code of a server that is
// away, which passes by itself.
func Explain(f *health.Fault, err error) {
	x, ok := errors.AsType[*exchangeError](err)
	if !ok {
		x = &exchangeError{stage: stageRequest, err: err}
	}
	f.Why, f.Next = plainText(err.Error(), x.secrets), "nothing, if the server or the network is away: the samples wait"
	switch {
	case x.atProxy:
		explainProxy(f, x)
	case explainTLS(f, x):
	case explainName(f, x, x.host, "VPS_BASE_URL"):
	case explainWay(f, x, x.place()):
	case strings.Contains(x.err.Error(), "malformed HTTP"), strings.Contains(x.err.Error(), "readLoopPeekFail"): // it sends before a request
		f.Code, f.Why = "endpoint_identity", x.place()+" speaks TLS, but not HTTP"
		f.Next = "check the port in VPS_BASE_URL"
	}
	if x.proxy != "" && !x.atProxy {
		f.Why += " (through the proxy " + x.proxy + ")"
	}
}

// place returns what was tried: the address, and the name if that is another. Behind a proxy only the name is known.
func (x *exchangeError) place() string {
	switch {
	case x.proxy != "" && !x.atProxy, !x.addr.IsValid():
		if x.host == "" {
			return "the server"
		}
		return x.host
	case x.tried > 1:
		return fmt.Sprintf("%v (one of %d addresses tried)", x.addr, x.tried)
	}
	return x.addr.String()
}

// explainName explains that a host's name could not be resolved, and reports whether that is what happened.
func explainName(f *health.Fault, x *exchangeError, host, setting string) bool {
	dns, ok := errors.AsType[*net.DNSError](x.err)
	if !ok {
		return false
	}
	host = quoteShort(host)
	if dns.IsNotFound {
		f.Why = "there is no name " + host
		f.Next = "check the name in " + setting + ", and whether the name server of this host is one of a network that has no way out"
		return true
	}
	f.Why = "the name " + host + " could not be resolved"
	if dns.Server != "" {
		f.Why += " by the name server " + dns.Server
	}
	switch {
	case dns.IsTimeout:
		f.Why += ", which does not answer"
	default:
		f.Why += ": " + plainText(dns.Err, nil)
	}
	f.Next = "nothing, if the network is away; if it lasts, check the name server of this host (/etc/resolv.conf)"
	return true
}

// explainWay explains what happened to a connection with place, and reports whether there is an explanation.
func explainWay(f *health.Fault, x *exchangeError, place string) bool {
	const away = "nothing, if it is away: the samples wait; "
	has := func(errs ...error) bool {
		for _, err := range errs {
			if errors.Is(x.err, err) {
				return true
			}
		}
		return false
	}
	switch {
	case has(syscall.ECONNREFUSED):
		f.Why = place + " refuses connections on this port"
		f.Next = away + "if it lasts, check that it runs, and the port"
	case has(syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL):
		f.Why = "there is no route to " + place
		f.Next = away + "if it lasts, check the network of this host"
	case has(syscall.EPERM, syscall.EACCES):
		f.Why = "this host does not allow a connection to " + place
		f.Next = "check the firewall of this host, and IPAddressDeny of the service"
	case has(syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF):
		f.Why = place + " closes the connection " + during[x.stage]
		f.Next = away + "if it lasts, a firewall or a proxy in between may forbid it"
	case isStall(x.err):
		explainSilence(f, x, place)
	default:
		return false
	}
	return true
}

var during = map[stage]string{
	stageDial: "at once", stageProxy: "without an answer", stageHandshake: "during the TLS handshake",
	stageRequest: "without an answer", stageAnswer: "in the middle of an answer",
}

// explainSilence explains a timeout. If the connection could be opened, small packets pass, and large ones may not.
func explainSilence(f *health.Fault, x *exchangeError, place string) {
	const large = "if it lasts while small packets pass, large ones may be lost on the way: check the MTU of this host's network and of its tunnels"
	switch x.stage {
	case stageDial:
		f.Why = place + " does not answer: no connection"
		f.Next = "nothing, if it is away: the samples wait; if it lasts, check the address of the name, and firewalls"
	case stageProxy:
		f.Why = place + " takes the connection, and does not answer"
		f.Next = "nothing, if it is away: the samples wait; if it lasts, check that it is an HTTP proxy"
	case stageHandshake:
		f.Why = place + " takes the connection, and the TLS handshake is not completed"
		f.Next = "nothing yet: other addresses of the name are tried; " + large
	case stageAnswer:
		f.Why = place + " does not complete its answer"
		f.Next = "nothing yet: it is tried again; " + large
	default:
		f.Why = place + " takes the connection, and there is no answer to a request"
		f.Next = "nothing yet: other addresses of the name are tried, and smaller batches; " + large
	}
}

const maxPlain = 300 // bytes of a text that may come from outside

// plainText makes a text fit for a log: one line of printable ASCII, short, without the secrets.
func plainText(text string, secrets []string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, hideProxy(text, secrets))
	return text[:min(len(text), maxPlain)]
}

// quoteShort repeats a text that comes from outside.
func quoteShort(text string) string { return strconv.QuoteToASCII(text[:min(len(text), maxName)]) }

const maxName = 100 // bytes of a name in a certificate that a text repeats

func hideProxy(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "(password)")
	}
	return text
}
