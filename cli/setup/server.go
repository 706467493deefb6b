package setup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"sunspool/health"
	"sunspool/vps"
)

// planServer makes this machine a server for the network at home. One that is set up otherwise stays as it is: it may be behind a
// proxy, at the address that it has without a setting.
func (s *Setup) planServer(role string) error {
	env, before, err := s.env(vpsEnv, "vps")
	if err != nil {
		return err
	}
	fresh := env.get("DEVICE_TOKENS") == "" && env.get("DEVICE_TOKENS_FILE") == "" && !s.exists(deviceTokens) // nobody could send
	if fresh {
		env.set("DEVICE_TOKENS", "store")
	}
	if zone := s.cfg.TZ; zone != "" && (role == roleServer || env.get("SITE_TZ") != "") { // else that which the edge names
		if err := checkZone(zone); err != nil {
			return err
		}
		env.set("SITE_TZ", zone)
	}
	own := fresh && env.get("TLS_CERT_FILE") == "" && env.get("LISTEN_ADDR") == "" && env.get("TLS_SELF") == ""
	if own || isOn(env.get("TLS_SELF")) {
		if own {
			env.set("TLS_SELF", "1")
		}
		if env.get("LISTEN_ADDR") == "" {
			env.set("LISTEN_ADDR", "0.0.0.0:"+homePort)
		}
		if host, _, _ := net.SplitHostPort(env.get("LISTEN_ADDR")); host != "localhost" && !isLoopback(host) {
			drop, _ := os.ReadFile(s.path(homeDrop))
			s.plan = append(s.plan, change{path: homeDrop, before: string(drop), after: homeNetworks, mode: 0o644})
		}
	}
	s.plan = append(s.plan, change{path: vpsEnv, before: before, after: env.String(), mode: 0o600})
	return nil
}

func (s *Setup) server() vps.MachineConfig {
	return vps.MachineConfig{AdminSocket: s.path(vpsSocket)}
}

// startServer starts the server and prints the link of the page.
func (s *Setup) startServer(ctx context.Context) error {
	if err := s.write(func(path string) bool { return path == vpsEnv || path == homeDrop }); err != nil {
		return err
	}
	if s.serves(ctx) && !s.changes(vpsEnv) && !s.changes(homeDrop) {
		fmt.Fprintln(s.Out, "The server of this machine runs, and stays as it is.")
	} else if started, err := s.units(ctx, "sunspool-vps"); err != nil || !started {
		return err
	}
	if !until(ctx, startTime, func() bool { return s.serves(ctx) }) {
		return &health.Fault{Code: "no_server", Exit: health.ExitUnreachable, What: "the server was started and does not answer", Next: "sudo sunspool doctor"}
	}
	page, err := vps.HomeURL(ctx, s.server())
	if err != nil || page == "" {
		return err
	}
	fmt.Fprintf(s.Out, "\nThe page is at %s\nA browser warns once, because this server vouches for itself: go on (Advanced).\ndocs/server.md says more.\n\n", page)
	err = vps.CreateToken(ctx, s.server(), vps.TokenCreateConfig{Role: "viewer", Devices: []string{"*"}, Name: "Household", URL: page}, s.In, s.Out, s.Terminal)
	if f, ok := errors.AsType[*health.Fault](err); ok && strings.Contains(f.Why, "has this name") {
		fmt.Fprintf(s.Out, "Its link was printed before. Another one: sudo sunspool token create --role viewer --device '*' --name NAME --url %s\n", page)
		err = nil
	}
	return err
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// serves reports whether the server of this machine can store samples now.
func (s *Setup) serves(ctx context.Context) bool {
	status, err := vps.AskStatus(ctx, s.server())
	return err == nil && status.Ready
}

// isOn reports whether a switch of a settings file is on.
func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "", "0", "false", "no":
		return false
	}
	return true
}

// planOwnServer has the edge deliver to the server of this machine, at the address that its settings give it. One that is set
// for the edge already stays; an address that nothing here shows is asked for.
func (s *Setup) planOwnServer(env *envFile) error {
	now := env.get("VPS_BASE_URL")
	server := s.cfg.Server
	if server == "" && s.roleNow() == roleAll {
		server = now
	}
	if server = cmp.Or(server, s.ownAddress()); server == "" {
		fmt.Fprintln(s.Out, "\nThe server of this machine is behind a proxy, as far as "+vpsEnv+" shows.")
	}
	server, err := s.answer("Its address, such as https://solar.example.org", "--server", server, now, checkServer)
	if err != nil {
		return err
	}
	server = strings.TrimSuffix(server, "/")
	s.moved = now != "" && now != server
	env.set("VPS_BASE_URL", server)
	return nil
}

// ownAddress returns where the server of this machine answers https, as far as its settings show: with an authority of its own
// at its port, else at PUBLIC_URL, or by the name in its certificate. "" is one behind a proxy.
func (s *Setup) ownAddress() string {
	env, err := parseEnv(s.planned(vpsEnv))
	if err != nil {
		return ""
	}
	host, port, err := net.SplitHostPort(env.get("LISTEN_ADDR"))
	if err != nil {
		host, port = "", homePort
	}
	if public := env.get("PUBLIC_URL"); !isOn(env.get("TLS_SELF")) && checkServer(public) == nil {
		return public
	}
	switch ip, err := netip.ParseAddr(host); {
	case isOn(env.get("TLS_SELF")): // it is known by its authority, whatever its address
		if err != nil || ip.IsUnspecified() || ip.IsLoopback() {
			host = "localhost"
		}
	case env.get("TLS_CERT_FILE") != "":
		host = s.certificateName(env.get("TLS_CERT_FILE"))
	default:
		host = ""
	}
	if host == "" {
		return ""
	}
	return strings.TrimSuffix("https://"+net.JoinHostPort(host, port), ":443")
}

// certificateName returns a name that a certificate is for, "" if none can be found.
func (s *Setup) certificateName(file string) string {
	text, err := os.ReadFile(s.path(file))
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return ""
	}
	for _, name := range cert.DNSNames {
		if !strings.Contains(name, "*") {
			return name
		}
	}
	for _, ip := range cert.IPAddresses {
		return ip.String()
	}
	return ""
}

// offer has the server of this machine make a code, as for any edge.
func (s *Setup) offer(ctx context.Context) error {
	env, err := parseEnv(s.planned(edgeEnv))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := vps.Pair(ctx, s.server(), vps.PairConfig{Device: env.get("DEVICE_ID"), JSON: true}, &out); err != nil {
		return err
	}
	var got struct{ Code string }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		return err
	}
	s.cfg.Pair = got.Code
	return nil
}
