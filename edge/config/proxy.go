package config

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"sunspool/edge/transport"
	"sunspool/settings"
)

// proxyVariables are those by which uploads find a proxy, in the order in which they are read.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy"}

// exemptVariables are those that name hosts for which no proxy is used, in the same order.
var exemptVariables = []string{"NO_PROXY", "no_proxy"}

// firstSet returns the first of the variables that is not empty, which is the one that counts.
func firstSet(names []string) (name, value string) {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// checkProxy returns an error for a proxy of the environment that no upload can go through, and for exemptions that exempt
// nothing. The HTTP client ignores what it cannot parse, and connects directly or, in a network where only the proxy can be
// reached, never.
func checkProxy() error {
	var wrong []error
	if name, value := firstSet(proxyVariables); name != "" {
		if err := settings.CheckText(name, value, true); err != nil { // there may be a password in it
			wrong = append(wrong, err)
		} else if why := wrongProxy(value); why != "" {
			wrong = append(wrong, fmt.Errorf("%s %s: write %s=http://host:port or http://user:password@host:port, or unset it", name, why, name))
		}
	}
	if name, value := firstSet(exemptVariables); name != "" {
		if err := settings.CheckText(name, value, false); err != nil {
			wrong = append(wrong, err)
		} else if why := wrongExemption(value); why != "" {
			wrong = append(wrong, fmt.Errorf("%s %s: write names, addresses and networks with commas, such as %s=vps.lan,.example.org,192.168.0.0/16", name, why, name))
		}
	}
	return errors.Join(wrong...)
}

var proxySchemes = []string{"http", "https", "socks5", "socks5h"}

// wrongProxy returns why no upload can go through a proxy, "" if one may. It repeats nothing: there may be a password
// anywhere in it.
func wrongProxy(value string) string {
	scheme, rest, _ := strings.Cut(value, ":")
	if slices.Contains(proxySchemes, strings.ToLower(scheme)) && !strings.HasPrefix(rest, "//") {
		return "has no // after its scheme"
	}
	u, err := url.Parse(value)
	if err != nil && strings.Contains(value, "://") {
		return "is not the address of a proxy (special characters of a user or password are written as %XX)"
	}
	if err != nil || u.Scheme == "" || u.Host == "" {
		if u, err = url.Parse("http://" + value); err != nil {
			return "is not the address of a proxy"
		}
	}
	if !slices.Contains(proxySchemes, u.Scheme) {
		return "has a scheme that is none of http, https, socks5"
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "has something after the host (special characters of a user or password are written as %XX)"
	}
	if u.Hostname() != "" && wrongHost(u.Hostname()) != "" {
		return "has a host that is neither a name nor an address"
	}
	return wrongAuthority(u)
}

// wrongExemption returns which entry of a NO_PROXY exempts nothing, and why, "" if all may.
func wrongExemption(value string) string {
	for entry := range strings.SplitSeq(value, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" || entry == "*" {
			continue
		}
		if why := wrongExempt(entry); why != "" {
			return fmt.Sprintf("has the entry %q, which %s", entry[:min(len(entry), maxEntry)], why)
		}
	}
	return ""
}

const maxEntry = 200 // bytes of an entry that a message repeats

func wrongExempt(entry string) string {
	if _, err := netip.ParsePrefix(entry); err == nil {
		return ""
	}
	switch {
	case strings.ContainsAny(entry, " \t;"):
		return "is several: commas go between them"
	case strings.Contains(entry, "://"):
		return "is a URL: only its host is compared"
	case strings.Contains(entry, "/"):
		return "is not a network"
	}
	host := entry
	if h, port, err := net.SplitHostPort(entry); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "has a port that is not 1 to 65535"
		}
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	host = strings.TrimPrefix(strings.TrimPrefix(host, "*."), ".")
	if strings.Contains(host, "*") {
		return "has a * that does not stand before a dot at its beginning"
	}
	if wrongHost(host) != "" {
		return "is neither a name, an address nor a network"
	}
	return ""
}

// Route describes how uploads get to the server of these settings as far as a proxy is involved, "" if the settings name
// none.
func (c *Config) Route() string {
	server, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: server})
	name, _ := firstSet(proxyVariables)
	exempt, _ := firstSet(exemptVariables)
	other, _ := firstSet([]string{"ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"})
	switch {
	case err != nil:
		return ""
	case proxy != nil:
		return fmt.Sprintf("uploads to %s go through the proxy %s, see %s", server.Host, transport.ProxyAddress(proxy), name)
	case name == "" && other != "":
		return fmt.Sprintf("uploads to %s go directly: %s is not used, HTTPS_PROXY is", server.Host, other)
	case name == "":
		return ""
	case exempt == "":
		return fmt.Sprintf("uploads to %s go directly: it is this host, for which %s is not used", server.Host, name)
	}
	return fmt.Sprintf("uploads to %s go directly: it is this host or %s exempts it from %s", server.Host, exempt, name)
}
