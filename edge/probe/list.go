package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/internal/checklist"
)

// timeout reads --timeout, 0 if it is not given.
func (c Config) timeout() (time.Duration, error) {
	if c.Timeout == "" {
		return 0, nil
	}
	text := c.Timeout
	if strings.Trim(text, "0123456789.") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 100*time.Millisecond || d > time.Minute {
		return 0, &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("--timeout %q is not a time from 100ms to 1m", c.Timeout), Next: "write it as --timeout 10s"}
	}
	return d, nil
}

// search lists the inverters that announce themselves, or those of a network.
func (c Command) search(ctx context.Context, cfg Config, timeout time.Duration) error {
	if cfg.Registers || cfg.Save != "" {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "--registers and --save are of one inverter", Why: "no address is given", Next: "`sunspool probe` lists those that announce themselves; then `sunspool probe 192.168.1.100 --save FILE`"}
	}
	s := c.Search
	s.Unit, s.Timeout, s.Tell = cfg.Unit, timeout, c.teller()
	var r Results
	var err error
	if cfg.Scan == "" {
		r, err = s.Announced(ctx)
	} else {
		network, wrong := ParseNetwork(cfg.Scan)
		if wrong != nil {
			return wrong
		}
		r, err = s.Scan(ctx, network)
	}
	c.clear()
	if ctx.Err() != nil {
		return &health.Fault{Code: "interrupted", Exit: health.ExitInterrupted, What: "the search was interrupted", Next: "sunspool probe"}
	}
	if err != nil {
		return err
	}
	if cfg.JSON {
		encoder := json.NewEncoder(c.Out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	} else {
		c.list(r)
	}
	return r.verdict(cfg.Scan)
}

// Print prints what was found, a line each.
func (r Results) Print(p checklist.Printer) {
	for _, f := range r.Found {
		p.Print(checklist.Check{Area: "found", State: checklist.OK, What: f.String()})
	}
	for _, address := range r.Skipped {
		p.Print(checklist.Check{Area: "left alone", State: checklist.Skip, What: address + ": an edge of this machine reads it"})
	}
	for _, o := range r.Others {
		p.Print(checklist.Check{Area: "other", State: checklist.Skip, What: o.Address + ": " + o.Why})
	}
}

func (c Command) list(r Results) {
	r.Print(checklist.Printer{Style: c.Style, Out: c.Out})
	if len(r.Found) > 0 {
		fmt.Fprintf(c.Out, "\nLook at one: sunspool probe %s\n", r.Found[0].Address)
	}
}

// verdict is an error if nothing was found, with what to try next.
func (r Results) verdict(scanned string) error {
	switch {
	case len(r.Found) > 0 || len(r.Skipped) > 0:
		return nil
	case scanned != "":
		return &health.Fault{Code: "no_inverter_found", Exit: health.ExitUnreachable, What: "no inverter answers in " + scanned,
			Why:  "its Modbus TCP is switched off, it is in another network, or another client has its one connection",
			Next: "enable Modbus TCP in the WiNet-S web page, or look up the address in your router, then run `sunspool probe 192.168.1.100`"}
	}
	f := &health.Fault{Code: "no_inverter_found", Exit: health.ExitUnreachable, What: "no dongle announces itself in this network",
		Why:  "the LAN port of an inverter and some firmware do not, and other networks are not heard",
		Next: "look up the address in your router, then run `sunspool probe 192.168.1.100`"}
	if networks := HomeNetworks(); len(networks) > 0 {
		f.Next = "sunspool probe --scan " + health.Quote(networks[0].String())
	}
	return f
}
