package transport

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"sunspool/health"
)

// explainProxy explains an error between this host and a forward proxy. The code is proxy for what does not pass by
// itself, and proxy_unreachable for a proxy that is away.
func explainProxy(f *health.Fault, x *exchangeError) {
	host := "the proxy " + x.proxy
	place := host
	if x.addr.IsValid() && x.addr.String() != x.proxy {
		place += fmt.Sprintf(" at %v", x.addr)
	}
	f.Code = "proxy_unreachable"
	refusal, refused := errors.AsType[*proxyRefusal](x.err)
	name, port, _ := net.SplitHostPort(x.proxy)
	dns, unresolved := errors.AsType[*net.DNSError](x.err)
	text := x.err.Error()
	switch {
	case refused:
		explainRefusal(f, x, refusal, host)
	case unresolved:
		explainName(f, x, name, "HTTPS_PROXY")
		f.Why = host + ": " + f.Why
		if dns.IsNotFound {
			f.Code = "proxy"
		}
	case isNoTLS(x.err):
		f.Code, f.Why = "proxy", host+" does not speak TLS on this port"
		f.Next = "if the proxy is reached without TLS, as most are, write HTTPS_PROXY=http://host:" + port
	case isTLS(x.err):
		x.host = name
		explainTLS(f, x)
		f.Code, f.Why = "proxy", host+": "+f.Why
		f.Next = strings.ReplaceAll(f.Next, "VPS_BASE_URL", "HTTPS_PROXY")
	case strings.Contains(text, "malformed HTTP"):
		f.Code, f.Why = "proxy", host+" does not speak HTTP on this port"
		f.Next = "check HTTPS_PROXY: http:// for a proxy of HTTP, https:// for one that is reached by TLS, socks5:// for one of SOCKS"
	case strings.Contains(text, "socks"):
		explainSocks(f, x, host)
	case explainWay(f, x, place):
		f.Next = strings.ReplaceAll(f.Next, "other addresses of the name are tried", "it is tried again")
	default:
		f.Why = host + ": " + f.Why
	}
}

const setPassword = "set user and password in HTTPS_PROXY, http://user:password@%s, special characters as %%XX, and restart the edge"

// explainRefusal explains the answer of a proxy that does not open a connection to the server.
func explainRefusal(f *health.Fault, x *exchangeError, refusal *proxyRefusal, host string) {
	answer := quoteShort(hideProxy(refusal.text, x.secrets))
	unauthorized := refusal.status == http.StatusProxyAuthRequired || refusal.status == http.StatusUnauthorized // tinyproxy answers so to a wrong password
	switch {
	case unauthorized && x.credentials:
		f.Code, f.Why = "proxy", host+" does not accept the user and the password in HTTPS_PROXY: status "+answer
		f.Next = fmt.Sprintf(setPassword, x.proxy)
	case unauthorized:
		f.Code, f.Why = "proxy", host+" asks for a user and a password: status "+answer
		f.Next = fmt.Sprintf(setPassword, x.proxy)
	case refusal.status >= 500, refusal.status == http.StatusTooManyRequests, refusal.status == http.StatusRequestTimeout:
		f.Code, f.Why = "vps_unreachable", host+" has no connection to "+quoteShort(x.host)+": status "+answer
		f.Next = "nothing, if the server or the network behind the proxy is away: the samples wait"
	default:
		f.Code, f.Why = "proxy", host+" refuses a connection to "+quoteShort(x.host)+": status "+answer
		f.Next = "have the proxy allow CONNECT to this host and port, or exempt the server by NO_PROXY if it can be reached directly"
	}
}

// explainSocks explains the answer of a SOCKS proxy, which net/http returns as text only.
func explainSocks(f *health.Fault, x *exchangeError, host string) {
	text := plainText(x.err.Error(), x.secrets)
	f.Why = host + ": " + text[strings.Index(text, "socks"):]
	switch {
	case strings.Contains(text, "authentication"), strings.Contains(text, "username/password"):
		f.Code = "proxy"
		f.Next = strings.Replace(fmt.Sprintf(setPassword, x.proxy), "http://", "socks5://", 1)
	case strings.Contains(text, "not allowed"), strings.Contains(text, "not supported"), strings.Contains(text, "unexpected protocol version"):
		f.Code = "proxy"
		f.Next = "have the proxy allow this host and port, or check in HTTPS_PROXY whether it is one of SOCKS5"
	case timedOut(x.err):
		explainWay(f, x, host)
	default:
		f.Code = "vps_unreachable"
		f.Next = "nothing, if the server or the network behind the proxy is away: the samples wait"
	}
}
