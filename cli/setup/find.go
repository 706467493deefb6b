package setup

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"sunspool/edge/probe"
	"sunspool/edge/zone"
	"sunspool/health"
	"sunspool/internal/checklist"
)

// findInverter looks for the inverter where none is named, and returns its address when a person has compared its values with its
// display, or when it is the only one of --scan. "" leaves it to be typed.
func (s *Setup) findInverter(ctx context.Context, unit int) (address string, err error) {
	search := s.Search
	search.Unit = uint8(unit)
	var r probe.Results
	if s.cfg.Scan != "" {
		network, err := probe.ParseNetwork(s.cfg.Scan)
		if err != nil {
			return "", err
		}
		if r, err = s.scan(ctx, search, network); err != nil {
			return "", err
		}
		if !s.asks() {
			return only(r, s.cfg.Scan)
		}
	} else {
		fmt.Fprintln(s.Out, "\nLooking for a dongle that announces itself, which takes 3 s:")
		if r, err = search.Announced(ctx); err != nil {
			s.complain("not found", err)
		}
		if r.Print(checklist.Printer{Style: s.Style, Out: s.Out}); len(r.Found) == 0 {
			fmt.Fprintln(s.Out, "  None does: the LAN port of an inverter and some firmware do not.")
			if r, err = s.offerScan(ctx, search); err != nil {
				return "", err
			}
		}
	}
	return s.pick(ctx, r, unit)
}

// offerScan asks whether to look through the networks of this machine, one after the other.
func (s *Setup) offerScan(ctx context.Context, search probe.Search) (r probe.Results, err error) {
	networks := s.Networks
	if networks == nil {
		networks = probe.HomeNetworks
	}
	for _, network := range networks() {
		ok, err := s.yes(fmt.Sprintf("Look through %s? Port 502 of each address is tried once", network), false)
		if err != nil {
			return r, err
		}
		if !ok {
			continue
		}
		if r, err = s.scan(ctx, search, network); err != nil {
			s.complain("not found", err)
		}
		if len(r.Found) > 0 || ctx.Err() != nil {
			break
		}
	}
	return r, ctx.Err()
}

func (s *Setup) scan(ctx context.Context, search probe.Search, network netip.Prefix) (probe.Results, error) {
	fmt.Fprintf(s.Out, "\nLooking through %s, which takes up to half a minute:\n", network)
	r, err := search.Scan(ctx, network)
	if err != nil {
		return r, err
	}
	r.Print(checklist.Printer{Style: s.Style, Out: s.Out})
	if len(r.Found) == 0 {
		fmt.Fprintln(s.Out, "  No inverter answers there.")
	}
	return r, nil
}

// only returns the one address that was found where nobody can choose.
func only(r probe.Results, network string) (string, error) {
	f := &health.Fault{Code: "no_inverter_found", Exit: health.ExitUnreachable, What: "no inverter answers in " + network, Next: "name it: --inverter 192.168.1.100"}
	switch len(r.Found) {
	case 0:
		return "", f
	case 1:
		return r.Found[0].Address, nil
	}
	f.Exit, f.What, f.Next = health.ExitUsage, fmt.Sprintf("%d inverters answer in %s", len(r.Found), network), "name one of those above: --inverter 192.168.1.100"
	return "", f
}

// pick shows what was found, one after the other, until a person takes one.
func (s *Setup) pick(ctx context.Context, r probe.Results, unit int) (string, error) {
	for _, found := range r.Found {
		question := "Is it this one?"
		switch {
		case found.InUse:
			fmt.Fprintln(s.Out, "\n"+found.Address+": an edge of this machine reads it already.")
		default:
			if err := s.lookAt(ctx, found.Address, unit); err != nil {
				if ctx.Err() != nil {
					return "", ctx.Err()
				}
				s.complain("inverter", err)
				continue
			}
			if !s.cfg.NoProbe && !s.cfg.Print {
				question = "Are these the values on its display?"
			}
		}
		ok, err := s.yes(question+" Use "+found.Address, true)
		if err != nil {
			return "", err
		}
		if ok {
			s.looked = found.Address
			return found.Address, nil
		}
	}
	return "", nil
}

// planZone asks in which time zone the inverter is. What the host is set to needs no setting.
func (s *Setup) planZone(env *envFile) error {
	now, host := env.get("TZ"), zone.OfHost(s.Root)
	if s.cfg.TZ == "" && !s.asks() {
		return nil
	}
	preset := now
	if preset == "" {
		preset = host
	}
	name, err := s.answer("Time zone of the house, such as Europe/Brussels", "--tz", s.cfg.TZ, preset, checkZone)
	if err != nil {
		return err
	}
	if now != "" || name != host || s.cfg.TZ != "" {
		env.set("TZ", name)
	}
	return nil
}

// checkZone accepts a time zone, and names the one that was probably meant.
func checkZone(name string) error {
	if name != "" && zone.Known(name) != "" {
		return nil
	}
	f := &health.Fault{Code: "usage", Exit: health.ExitUsage, What: strconv.Quote(name) + " is no time zone", Next: "write it as Europe/Brussels; timedatectl list-timezones has all of them"}
	if meant := zone.Nearest(strings.TrimSpace(name)); meant != "" {
		f.Next = "did you mean " + meant + "?"
	}
	return f
}
