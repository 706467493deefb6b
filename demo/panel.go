package demo

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"sunspool/edge/simulator"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/internal/qrcode"
)

// panel is what a person sees and presses: one status line that is redrawn on a terminal, and one a minute elsewhere.
type panel struct {
	in   *os.File
	out  io.Writer
	show *show
	tty  bool
	tick string // ✓, or what the locale has

	mu          sync.Mutex
	inverterOff bool
	uplinkOff   bool
	drawn       bool // a status line is on the screen
}

func newPanel(in *os.File, out io.Writer, s *show) *panel {
	p := &panel{in: in, out: out, show: s, tick: "[ok]"}
	if f, ok := out.(*os.File); ok && in != nil {
		p.tty = term.IsTerminal(int(f.Fd())) && term.IsTerminal(int(in.Fd()))
	}
	if !checklist.PlainLocale() {
		p.tick = "✓"
	}
	return p
}

func (p *panel) greet(c Config, version string) {
	a := p.show.addresses
	p.line("Open %s", p.show.page())
	if p.show.viewer != "" {
		p.line("Open %s on other devices", p.show.link())
		if code, err := qrcode.Of(p.show.link(), true); p.tty && err == nil && !checklist.PlainLocale() {
			p.line("\n%s", code)
		}
	}
	p.line("")
	p.line("sunspool %s demo: simulated %s, %d days of history%s", version, c.Model, c.Days, p.show.clock(c))
	p.line("  %s simulator   modbus tcp %s (unit 1)", p.tick, a.modbus)
	p.line("  %s edge        polls every 5 s, spools, uploads", p.tick)
	p.line("  %s vps         https://%s with its own authority and token", p.tick, a.api)
	p.line("  %s readers     http://%s", p.tick, p.show.local())
	p.line("")
	p.line("  curl -s 'http://%s/v1/realtime?device_id=%s'", p.show.local(), Device)
	p.line("  curl -s 'http://%s/v1/series?device_id=%s&frame=year'", p.show.local(), Device)
	if p.tty {
		p.line("  Break it: press o = inverter off/on, u = uplink off/on, q = quit")
	}
	p.line("")
}

func (p *panel) remembered(n int, took time.Duration) {
	p.line("  %s history     %d samples in %.1f s", p.tick, n, took.Seconds())
}

func (p *panel) farewell(c Config) {
	read, delivered, waiting := 0, 0, 0
	for _, x := range p.show.plants() {
		read, delivered, waiting = read+x.read(), delivered+x.delivered(), waiting+x.waiting()
	}
	p.line("%d samples read, %d delivered, %d waiting in the spool.", read, delivered, waiting)
	if c.Keep == "" {
		p.line("Nothing was kept.")
	} else {
		p.line("Kept in %s.", c.Keep)
	}
}

// line writes one line above the status line.
func (p *panel) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	fmt.Fprintf(p.out, format+p.newline(), args...)
}

func (p *panel) wipe() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

// newline returns the cursor too: a terminal that passes on every key does not do so by itself.
func (p *panel) newline() string {
	if p.tty {
		return "\r\n"
	}
	return "\n"
}

// run draws and listens until ctx ends.
func (p *panel) run(ctx context.Context, quit func()) error {
	every := time.Minute
	if p.tty {
		every = time.Second
		raw, err := term.MakeRaw(int(p.in.Fd()))
		if err == nil {
			defer term.Restore(int(p.in.Fd()), raw)
			go p.keys(quit)
		}
	}
	first := time.NewTicker(100 * time.Millisecond) // until there is something to show
	defer first.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.wipe(); p.tty {
				fmt.Fprint(p.out, "\r")
			}
			return nil
		case <-first.C:
		}
		if time.Since(last) < every || p.show.edge.Uploader.Uploaded.Load() == 0 && last.IsZero() {
			continue
		}
		if last.IsZero() {
			p.line("  %s first sample read, spooled, delivered and stored %.1f s after the start", p.tick, p.show.now().Sub(p.show.started).Seconds())
		}
		last = time.Now()
		p.draw()
	}
}

func (p *panel) draw() {
	text := p.status()
	if !p.tty {
		p.line("%s", text)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	width, _, err := term.GetSize(int(p.in.Fd()))
	if err == nil && width > 0 {
		if r := []rune(text); len(r) >= width {
			text = string(r[:width-1])
		}
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", text)
	p.drawn = true
}

// status is one line: what the house does, and where the samples are.
func (p *panel) status() string {
	h := p.show.edge.Report.Now()
	s := h.Sample
	if s == nil {
		return "waiting for the first sample"
	}
	kw := func(w *float64) string {
		if w == nil {
			return "?"
		}
		return fmt.Sprintf("%.2f", math.Round(*w/10)/100+0) // never -0.00
	}
	soc := ""
	if s.BatterySOCPct != nil {
		soc = fmt.Sprintf(" (%.0f %%)", *s.BatterySOCPct)
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%d read, %d waiting, %d stored", p.show.read(), h.SpoolCount, p.show.edge.Uploader.Uploaded.Load())
	for _, link := range h.Links {
		if link.State == health.Broken {
			fmt.Fprintf(&line, "  [%s down %s]", link.Name, time.Since(link.Since).Round(time.Second))
		}
	}
	fmt.Fprintf(&line, "  PV %s home %s battery %s%s export %s kW",
		kw(&s.PVPowerW), kw(s.LoadPowerW), kw(s.BatteryPowerW), soc, kw(s.ExportPowerW))
	return line.String()
}

// clock is what the demo's clock shows, if it is not the host's.
func (s *show) clock(c Config) string {
	if s.ahead.Load() == 0 {
		return ""
	}
	return s.started.Format(", and it is 2 January 2006, 15:04 ") + c.TZ
}

// keys acts on what is pressed. It ends with the process: a read of the terminal cannot be cancelled.
func (p *panel) keys(quit func()) {
	key := make([]byte, 1)
	for {
		if n, err := p.in.Read(key); err != nil || n == 0 {
			return
		}
		switch key[0] {
		case 'o':
			p.inverterOff = !p.inverterOff
			if p.inverterOff {
				p.show.inverter.SetFaults(simulator.Fault{Kind: "off"})
				p.line("  the inverter is off: nothing new to read; press o again to switch it on")
			} else {
				p.show.inverter.SetFaults()
				p.line("  the inverter is on again")
			}
		case 'u':
			p.uplinkOff = !p.uplinkOff
			p.show.cut.set(p.uplinkOff)
			if p.uplinkOff {
				p.line("  the uplink is cut: samples wait in the spool; press u again to mend it")
			} else {
				p.line("  the uplink is mended")
			}
		case 'q', 3, 4: // also Ctrl-C and Ctrl-D, which a raw terminal does not turn into signals
			quit()
			return
		}
	}
}
