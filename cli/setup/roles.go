package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"sunspool/edge/pairing"
	"sunspool/edge/probe"
	"sunspool/edge/report"
	"sunspool/health"
	"sunspool/internal/paircode"
	"sunspool/wire"
)

const (
	edgeEnv      = "/etc/sunspool/edge.env"
	vpsEnv       = "/etc/sunspool/vps.env"
	furtherEdges = "/etc/sunspool/edge-*.env"
	tokenFile    = "/etc/sunspool/credentials/vps-device-token"
	deviceTokens = "/etc/sunspool/credentials/device-tokens"
	homeDrop     = "/etc/systemd/system/sunspool-vps.service.d/home.conf"

	edgeHealth = "/run/sunspool/edge/health.json"
	vpsData    = "/var/lib/sunspool/vps"
	vpsSocket  = "/run/sunspool/vps/vps.sock"

	startTime  = 60 * time.Second // until the server answers at its socket
	sampleTime = 90 * time.Second // until the first sample is delivered
)

// homeNetworks is what the sandbox of the server lets in, beside its own host: networks at home; and what tells a program the
// addresses of its own host, without which neither its certificate nor its link would have the one at home.
const homeNetworks = `# Written by sunspool setup: the server itself is the door for the network at home.
[Service]
IPAddressAllow=10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 fc00::/7 fe80::/10
RestrictAddressFamilies=AF_NETLINK
`

// planEdge asks for the inverter and the server.
func (s *Setup) planEdge(ctx context.Context, role string) error {
	env, before, err := s.env(edgeEnv, roleEdge)
	if err != nil {
		return err
	}
	now := env.get("SUNGROW_HOST")
	if port := env.get("SUNGROW_PORT"); now != "" && port != "" && port != "502" {
		now = net.JoinHostPort(now, port)
	}
	units := strings.Split(env.get("SUNGROW_SLAVE_ID"), ",")
	several := len(units) > 1
	if several && (s.cfg.Unit != 0 || s.cfg.Device != "" || s.cfg.Pair != "" || s.cfg.TokenFile != "") {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "the edge of this machine reads several inverters: SUNGROW_SLAVE_ID=" + env.get("SUNGROW_SLAVE_ID"), Why: "--unit, --device, --pair and --token-file are for one",
			Next: "sudo editor " + health.Quote(edgeEnv) + "   # SUNGROW_SLAVE_ID, DEVICE_ID and VPS_DEVICE_TOKEN are lists in the same order: docs/several-inverters.md"}
	}
	unit := cmp.Or(s.cfg.Unit, number(units[0]), 1)
	named := s.cfg.Inverter
	if named == "" && now == "" && (s.asks() || s.cfg.Scan != "") {
		if named, err = s.findInverter(ctx, unit); err != nil {
			return err
		}
	}
	address, err := s.answer("Address of the inverter or its dongle, such as 192.168.1.100", "--inverter", named, now, func(text string) error {
		if text == now && !s.asks() {
			return nil // it was looked at when it was set, and may sleep now
		}
		return s.lookAtAsked(ctx, text, now, unit)
	})
	if err != nil {
		return err
	}
	host, port, err := probe.SplitAddress(address)
	if err != nil {
		return err
	}
	env.set("SUNGROW_HOST", host)
	if port != 502 || env.get("SUNGROW_PORT") != "" {
		env.set("SUNGROW_PORT", strconv.Itoa(port))
	}
	if !several && (unit != 1 || s.cfg.Unit != 0) {
		env.set("SUNGROW_SLAVE_ID", strconv.Itoa(unit))
	}
	if err := s.planZone(env); err != nil {
		return err
	}
	if err := s.planServerOf(env, role); err != nil {
		return err
	}
	if device := cmp.Or(s.cfg.Device, env.get("DEVICE_ID"), "inverter"); !several {
		if !wire.ValidDeviceID(device) {
			return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("--device %q cannot be the name of an inverter", device), Next: "--device roof, of 1 to 64 of A-Z a-z 0-9 . _ ~ -"}
		}
		env.set("DEVICE_ID", device) // what a code says comes later
	}
	if env.get("VPS_DEVICE_TOKEN") == "" {
		env.unset("VPS_DEVICE_TOKEN")
	}
	s.plan = append(s.plan, change{path: edgeEnv, before: before, after: env.String(), mode: 0o600})
	return nil
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// lookAt probes an inverter and prints what it finds.
func (s *Setup) lookAt(ctx context.Context, address string, unit int) error {
	if _, _, err := probe.SplitAddress(address); err != nil || s.cfg.NoProbe || s.cfg.Print || address == s.looked {
		return err
	}
	fmt.Fprintln(s.Out, "\nLooking at the inverter, which takes some seconds:")
	err := probe.Command{Out: s.Out, Err: io.Discard, Style: s.Style}.Run(ctx, probe.Config{Address: address, Unit: uint8(unit), Repeat: 2}) // of which the second knows whether a 0 is measured
	if f, ok := errors.AsType[*health.Fault](err); ok && f.Code == "dongle_busy" {
		fmt.Fprintln(s.Out, "  An edge of this machine reads it already.")
		return nil
	}
	return err
}

// errAskAgain ends an answer of which all has been said.
var errAskAgain = errors.New("another answer is wanted")

// lookAtAsked is lookAt for an address that a person, or a flag, names. One that does not answer, as a string inverter at night, may be
// used all the same: if it is set already, or was named twice.
func (s *Setup) lookAtAsked(ctx context.Context, address, now string, unit int) error {
	err := s.lookAt(ctx, address, unit)
	f, _ := errors.AsType[*health.Fault](err)
	if f == nil || f.Code != "inverter_unusable" || ctx.Err() != nil {
		return err
	}
	if !s.asks() {
		f.Next = "add --no-probe if it only sleeps or is off; else: " + f.Next
		return f
	}
	if address != now && address != s.failed {
		s.failed = address
		return err
	}
	s.complain("inverter", err)
	ok, err := s.yes("Use "+address+" all the same", false)
	if err == nil && !ok {
		err = errAskAgain
	}
	return err
}

// planServerOf asks where an edge delivers to, and how it gets its token.
func (s *Setup) planServerOf(env *envFile, role string) error {
	if role == roleAll {
		return s.planOwnServer(env)
	}
	server, err := s.answer("The server, such as https://solar.example.org", "--server", s.cfg.Server, env.get("VPS_BASE_URL"), checkServer)
	if err != nil {
		return err
	}
	env.set("VPS_BASE_URL", strings.TrimSuffix(server, "/"))
	hasToken := s.exists(tokenFile) || env.get("VPS_DEVICE_TOKEN") != "" || env.get("VPS_DEVICE_TOKEN_FILE") != ""
	if s.cfg.Pair == "" && s.cfg.TokenFile == "" && !hasToken {
		if s.cfg.Pair, err = s.answer(codeQuestion, "--pair or --token-file", "", "", checkCode); err != nil {
			return err
		}
	}
	if s.cfg.Pair == "" && s.cfg.TokenFile != "" {
		token, err := s.readToken()
		if err != nil {
			return err
		}
		s.planToken(env, token)
	}
	return nil
}

const codeQuestion = "Code of `sudo sunspool vps pair` on the server"

// checkCode accepts what looks like a pairing code.
func checkCode(text string) error {
	if _, err := paircode.Parse(text); err != nil {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "that is no pairing code", Why: err.Error(), Next: "sudo sunspool vps pair   # on the server, which prints one"}
	}
	return nil
}

func checkServer(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("%q is not the address of a server", text), Next: "write it as https://solar.example.org or https://192.168.1.5:8443"}
	}
	return nil
}

// planToken puts a token into its file, and takes it out of the settings.
func (s *Setup) planToken(env *envFile, token string) {
	before, _ := os.ReadFile(s.path(tokenFile))
	s.plan = append(s.plan, change{path: tokenFile, before: string(before), after: token + "\n", mode: 0o600, secret: true})
	env.unset("VPS_DEVICE_TOKEN")
	env.unset("VPS_DEVICE_TOKEN_FILE")
}

// startEdge pairs the edge, starts it, and waits for the first sample at the server.
func (s *Setup) startEdge(ctx context.Context, role string) error {
	if role == roleAll && (s.moved || !s.exists(tokenFile)) && s.cfg.Pair == "" {
		if err := s.offer(ctx); err != nil {
			return err
		}
	}
	for s.cfg.Pair != "" {
		err := s.pair(ctx)
		if err == nil {
			break
		}
		if !s.asks() || role == roleAll || ctx.Err() != nil {
			return err
		}
		s.complain("pairing", err)
		if s.cfg.Pair, err = s.answer(codeQuestion, "--pair", "", "", checkCode); err != nil {
			return err
		}
	}
	// Settings without their token wait for it, and setup asks for it again; a token without the fingerprint looks complete.
	for _, file := range []string{edgeEnv, tokenFile} {
		if err := s.write(func(path string) bool { return path == file }); err != nil {
			return err
		}
	}
	begun := time.Now()
	if started, err := s.units(ctx, "sunspool-edge"); err != nil || !started {
		return err
	}
	var h report.Health
	var err error
	delivered := until(ctx, sampleTime, func() bool {
		h, err = report.Look(ctx, s.path(edgeHealth), time.Now())
		return err == nil && h.LastUpload != nil && h.LastUpload.After(begun.Add(-time.Minute)) && h.UptimeS < time.Since(begun).Seconds()+5
	})
	switch {
	case delivered:
		fmt.Fprintf(s.Out, "The first samples of %s are at the server.\n", h.DeviceID)
		return nil
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return &health.Fault{Code: "edge_silent", Exit: health.ExitUnreachable, What: "the edge was started and does not say how it is", Why: err.Error(), Next: "sudo sunspool doctor"}
	}
	return &health.Fault{Code: "not_delivered", Exit: health.ExitUnhealthy, What: "the edge runs, and no sample is at the server yet", Why: h.Sentence, Next: cmp.Or(h.Next, "sudo sunspool doctor")}
}

// planned is what a file is to be.
func (s *Setup) planned(path string) string {
	for _, c := range s.plan {
		if c.path == path {
			return c.after
		}
	}
	return ""
}

// pair exchanges the code, and completes the plan with what comes.
func (s *Setup) pair(ctx context.Context) error {
	for i := range s.plan {
		c := &s.plan[i]
		if c.path != edgeEnv {
			continue
		}
		env, err := parseEnv(c.after)
		if err != nil {
			return err
		}
		got, err := pairing.Pair(ctx, env.get("VPS_BASE_URL"), env.get("VPS_CA_FILE"), s.cfg.Pair, "sunspool/"+s.Version)
		if err != nil {
			return err
		}
		env.set("DEVICE_ID", got.DeviceID)
		if got.Fingerprint != "" {
			env.set("VPS_FINGERPRINT", got.Fingerprint)
			env.unset("VPS_CA_FILE")
		} else {
			env.unset("VPS_FINGERPRINT")
		}
		s.planToken(env, got.Token)
		s.plan[i].after = env.String()
		fmt.Fprintf(s.Out, "Paired with %s as %s.\n", env.get("VPS_BASE_URL"), got.DeviceID)
		return nil
	}
	return nil
}
