package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"sunspool/edge/donglelock"
	"sunspool/edge/mdns"
	"sunspool/edge/registers"
	"sunspool/health"
	"sunspool/internal/checklist"
)

// Config is the command line of `sunspool probe`.
type Config struct {
	Address   string `arg:"" optional:"" help:"Inverter or dongle: HOST or HOST:PORT. Without it: the dongles that announce themselves in this network."`
	Unit      uint8  `default:"1" help:"Modbus unit id; 2 for the second of a pair."`
	Repeat    int    `default:"2" help:"So many polls, 5 s apart: a dongle that fails now and then shows."`
	Registers bool   `help:"Print every register with its value, too."`
	Save      string `placeholder:"FILE" help:"Write what was read to a file for a report, without serial numbers; sunspool simulate --image FILE serves it."`
	Scan      string `placeholder:"CIDR" help:"Look for inverters in a network at home, such as 192.168.1.0/24, which is the largest: a connection to port 502 of each address, and one read of what answers."`
	Timeout   string `placeholder:"TIME" help:"How long a connection and an answer are waited for, such as 10s. Default: 5s, and 1s for each connection of --scan."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Command is what the command needs of the terminal.
type Command struct {
	Out, Err io.Writer
	Terminal bool // a person reads Err
	Style    checklist.Style
	Search   Search // for a probe without an address
}

// Run probes and prints. The error has the exit status 5 when nothing answers, 6 when what answers is not usable.
func (c Command) Run(ctx context.Context, cfg Config) error {
	if cfg.Unit < 1 || cfg.Unit > 247 || cfg.Repeat < 1 || cfg.Repeat > 1000 {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "--unit is 1 to 247, --repeat 1 to 1000", Next: "sunspool probe --help"}
	}
	timeout, err := cfg.timeout()
	if err != nil {
		return err
	}
	if cfg.Address == "" {
		return c.search(ctx, cfg, timeout)
	}
	if cfg.Scan != "" {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "an address and --scan exclude each other", Next: "sunspool probe --help"}
	}
	host, port, err := SplitAddress(cfg.Address)
	if err != nil {
		return err
	}
	release, err := claim(ctx, host, port)
	if err != nil {
		return err
	}
	defer release()
	p := Probe{Host: host, Port: port, Unit: cfg.Unit, Timeout: timeout, Dial: new(mdns.Names).DialContext, Tell: c.teller()}
	r, err := p.Run(ctx, cfg.Repeat)
	c.clear()
	if ctx.Err() != nil {
		return &health.Fault{Code: "interrupted", Exit: health.ExitInterrupted, What: "the probe was interrupted", Next: "sunspool probe " + health.Quote(cfg.Address)}
	}
	if err != nil {
		return err
	}
	if cfg.Save != "" && p.last.Map != nil {
		if err := p.save(r, cfg.Save); err != nil {
			return err
		}
	}
	if cfg.JSON {
		if !cfg.Registers {
			r.Words = nil
		}
		encoder := json.NewEncoder(c.Out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	} else {
		var text bytes.Buffer
		c.print(&text, &p, r, cfg)
		if _, err := c.Out.Write(text.Bytes()); err != nil {
			return err
		}
	}
	err = verdict(r)
	if f, ok := errors.AsType[*health.Fault](err); ok && cfg.Save != "" && p.last.Map == nil {
		f.Why += "; there is nothing to save, so " + cfg.Save + " was not written"
	}
	return err
}

// teller shows a person what is waited for, in one line.
func (c Command) teller() func(what string) {
	if !c.Terminal {
		return nil
	}
	return func(what string) { fmt.Fprintf(c.Err, "\r\033[K%s ...", what) }
}

// clear removes that line.
func (c Command) clear() {
	if c.Terminal {
		fmt.Fprint(c.Err, "\r\033[K")
	}
}

// claim makes this process the only one of the machine that reads the inverter.
func claim(ctx context.Context, host string, port int) (release func(), err error) {
	release, err = donglelock.Claim(host, port, []string{"probe"}, slog.New(slog.DiscardHandler))
	if err == nil {
		if other := donglelock.SameHost(ctx, host, new(mdns.Names).Resolve); other != "" {
			release()
			err = &health.Fault{Code: "dongle_busy", Exit: health.ExitBusy, What: "an edge of this machine reads " + host, Why: "by the name " + other + ", and a dongle bears one connection"}
		}
	}
	if f, ok := errors.AsType[*health.Fault](err); ok {
		f.Next = "ask that edge: `sunspool status`; or stop it for the time of the probe: `sudo systemctl stop sunspool-edge`"
	}
	return release, err
}

// verdict is the exit status of a report.
func verdict(r *Report) error {
	what := fmt.Sprintf("inverter %s, unit %d", net.JoinHostPort(r.Host, fmt.Sprint(r.Port)), r.Unit)
	for _, check := range r.Checks {
		if check.State != checklist.Fail {
			continue
		}
		exit := health.ExitUnreachable
		if check.Area == "sample" {
			exit = health.ExitUnhealthy
		}
		return &health.Fault{Code: "inverter_unusable", Exit: exit, What: what + " cannot be used", Why: check.What, Next: check.Next}
	}
	return nil
}

func (c Command) print(out io.Writer, p *Probe, r *Report, cfg Config) {
	printer := checklist.Printer{Style: c.Style, Out: out}
	for _, check := range r.Checks {
		if check.State != checklist.Fail { // the error has that
			printer.Print(check)
		}
	}
	if cfg.Registers && p.last.Map != nil {
		fmt.Fprintln(out)
		p.printRegisters(out)
	}
	if !r.Usable {
		return
	}
	state := "Usable."
	if checklist.Worst(r.Checks) == checklist.Warn {
		state = "Usable; see what is marked."
	}
	fmt.Fprintf(out, "\n%s Compare the values with the inverter's display.\n", state)
}

// printRegisters prints every register that was read.
func (p *Probe) printRegisters(out io.Writer) {
	for reg := range p.last.Map.All() {
		words := p.last.Words
		if reg.Kind == registers.Holding {
			words = p.last.Set
		}
		if reg.Block == registers.Identity && reg.Type == registers.UTF8 {
			continue // it has the serial number
		}
		if reg.Type == registers.UTF8 {
			if text, err := reg.Text(words); err == nil {
				fmt.Fprintf(out, "%-7s %5d  %-34s %s\n", reg.Kind, reg.Number, reg.Name, text)
			}
			continue
		}
		raw, err := reg.Raw(words)
		if err != nil {
			continue
		}
		v, err := reg.Decode(words)
		note := ""
		if err != nil {
			note = "  " + err.Error()
		}
		fmt.Fprintf(out, "%-7s %5d  %-34s %12g %-4s 0x%0*X%s\n", reg.Kind, reg.Number, reg.Name, v, reg.Unit, 4*int(reg.Words), raw, note)
	}
}
