package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"sunspool/settings"
)

// checkHost accepts a name or an address and nothing else: the port has a setting of its own.
func checkHost(host string) error {
	if err := settings.CheckText("SUNGROW_HOST", host, true); err != nil {
		return errors.New(err.Error() + suggestion(host))
	}
	why := wrongHost(host)
	switch {
	case why == "":
		return nil
	case strings.Contains(host, "@"): // there may be a password before it
		return errors.New("SUNGROW_HOST " + why + suggestion(host))
	}
	return fmt.Errorf("SUNGROW_HOST is %q: %s%s", host, why, suggestion(host))
}

// wrongHost returns why host is neither a name nor an address that one device can have, "" if it is.
func wrongHost(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		switch {
		case ip.IsUnspecified(), ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
			return "is not the address of one device"
		case strings.HasPrefix(ip.Zone(), "25"):
			return "has the % of its zone as in a URL"
		}
		return ""
	}
	switch {
	case strings.Contains(host, "://"):
		return "must be a name or an address, without scheme"
	case strings.ContainsAny(host, `/\?#`):
		return "must be a name or an address, without a path or a network"
	case strings.Contains(host, "@"):
		return "must be a name or an address, without a user"
	case strings.ContainsAny(host, "[]"):
		return "must be a name or an address, without brackets"
	case strings.Contains(host, ":"):
		return "must be a name or an address, without a port"
	}
	return wrongName(host)
}

// wrongName returns why a name cannot be looked up, "" if it can.
func wrongName(name string) string {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return "must be one name or address: a name has 1 to 63 characters between its dots, and no - beside them"
		}
		if strings.ContainsFunc(label, func(r rune) bool { return r != '-' && r != '_' && !isAlphanumeric(r) }) {
			return "must be one name or address: a name has letters a-z, digits and - only"
		}
	}
	if len(name) > 253 {
		return "must be a name of at most 253 characters"
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return "is not an address: that has four numbers from 0 to 255, without leading zeros"
	}
	return ""
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// suggestion returns what to write in place of a wrong SUNGROW_HOST, as far as there is a host in it.
func suggestion(text string) string {
	host, port := hostIn(text)
	if host == "" || wrongHost(host) != "" {
		return ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
		return fmt.Sprintf(": write SUNGROW_HOST=%s and SUNGROW_PORT=%d", host, n)
	}
	return ": write SUNGROW_HOST=" + host
}

// hostIn finds the host and the port in a copied line such as tcp://user@192.168.1.7:502/ or [fe80::1]:502.
func hostIn(text string) (host, port string) {
	text = settings.Clean(text)
	if fields := strings.Fields(text); len(fields) > 0 {
		text = settings.Clean(fields[0])
	}
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	if i := strings.IndexAny(text, `/\?#`); i >= 0 {
		text = text[:i]
	}
	text = text[strings.LastIndex(text, "@")+1:]
	if rest, ok := strings.CutPrefix(text, "["); ok {
		host, rest, _ = strings.Cut(rest, "]")
		return strings.Replace(host, "%25", "%", 1), strings.TrimPrefix(rest, ":")
	}
	if strings.Count(text, ":") == 1 {
		host, port, _ = strings.Cut(text, ":")
		return host, port
	}
	return strings.Replace(text, "%25", "%", 1), ""
}

// checkURL accepts only a server whose certificate can be verified, at the top of its host: the paths of the API are
// fixed.
func checkURL(s string) error {
	if s == "" {
		return required("VPS_BASE_URL", "the server, as https://host")
	}
	if err := settings.CheckText("VPS_BASE_URL", s, strings.Contains(s, "@")); err != nil {
		return err
	}
	if !strings.Contains(s, "://") {
		return fmt.Errorf("VPS_BASE_URL must begin with https://: write VPS_BASE_URL=https://host")
	}
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("VPS_BASE_URL is not a URL: write VPS_BASE_URL=https://host, or https://host:port")
	}
	root := "https://" + u.Host
	switch {
	case u.Scheme != "https":
		return fmt.Errorf("VPS_BASE_URL starts with %q: must be https, samples and token never travel in the clear", u.Scheme)
	case u.User != nil:
		return errors.New("VPS_BASE_URL has a user or a password in it: the token has a setting of its own, write VPS_BASE_URL=" + root)
	}
	if why := wrongAuthority(u); why != "" {
		return fmt.Errorf("VPS_BASE_URL %s: write VPS_BASE_URL=https://host, or https://host:port", why)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fmt.Errorf("VPS_BASE_URL has something after the host: the edge adds the path of the API itself, write VPS_BASE_URL=%s", root)
	}
	return nil
}

// wrongAuthority returns why nothing can be reached at the host and port of u, "" if something may be.
func wrongAuthority(u *url.URL) string {
	if u.Hostname() == "" {
		return "has no host"
	}
	if why := wrongHost(u.Hostname()); why != "" {
		return fmt.Sprintf("has the host %q, which %s", u.Hostname(), strings.TrimPrefix(why, "which "))
	}
	if strings.HasSuffix(u.Host, ":") {
		return "has no port after the colon"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Sprintf("has the port %s, which is not 1 to 65535", port)
		}
	}
	return ""
}

// required returns the error of a required setting that is missing. It names a variable that was probably meant to be it.
func required(name, what string) error {
	if written := settings.Instead(name, Config{}); written != "" {
		return fmt.Errorf("%s is missing: %s; %s is set, which is not a setting: %s?", name, what, written, name)
	}
	return fmt.Errorf("%s is missing: %s", name, what)
}

// MetricsAddr completes METRICS_ADDR: a port alone, with or without a colon, is a port of the loopback address.
func MetricsAddr(text string) (string, error) {
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		return "", fmt.Errorf("METRICS_ADDR is %q: must be a port, or address:port such as 0.0.0.0:9517", text)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
