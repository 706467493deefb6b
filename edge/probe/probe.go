// Package probe looks at an inverter once, as an edge would read it, and says what it finds: whether it can be reached, what it
// is, what each of its witnesses reads, and what would be stored. It reads only, over one connection, and is as kind to a
// dongle as the edge. Without an address it finds inverters.
//
//	mDNS, or a network to look through ──> addresses
//	address ──> connect ──> poll, and again 5 s later ──> checks ──> a person, JSON, or an image that simulate serves
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/pace"
	"sunspool/edge/reading"
	"sunspool/edge/registers"
	"sunspool/edge/witness"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/wire"
)

const defaultPort = 502

// clockCSV are the registers of the inverter's own clock, which the edge has no use for.
const clockCSV = `name,number,kind,type,block,min,max
clock_year,5000,holding,u16,clock,2000,2099
clock_month,5001,holding,u16,clock,1,12
clock_day,5002,holding,u16,clock,1,31
clock_hour,5003,holding,u16,clock,0,23
clock_minute,5004,holding,u16,clock,0,59
clock_second,5005,holding,u16,clock,0,59
`

// Probe is one look at an inverter.
type Probe struct {
	Host string
	Port int
	Unit byte
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Tell func(what string) // what is waited for; may be nil

	Timeout time.Duration // of connecting, and of an answer; 0 is 5 s

	last     inverter.Reading
	readAt   time.Time // by this host's clock
	setAt    time.Time // the same, of its own clock
	link     timedLink
	polls    int
	failed   int
	normal   reading.Normalizer
	checks   []checklist.Check
	sample   *wire.Sample
	findings reading.Findings
}

// Report is what was found.
type Report struct {
	Host        string              `json:"host"`
	Port        int                 `json:"port"`
	Unit        byte                `json:"unit"`
	Usable      bool                `json:"usable"`
	Model       string              `json:"model,omitempty"`
	Serial      string              `json:"serial,omitempty"` // shortened
	Firmware    string              `json:"firmware,omitempty"`
	MedianMS    float64             `json:"median_ms,omitempty"` // of an answer
	Reads       int                 `json:"reads"`
	Checks      []checklist.Check   `json:"checks"`
	Sample      *wire.Sample        `json:"sample,omitempty"`
	Testimonies []witness.Testimony `json:"witnesses,omitempty"`
	Refused     [][2]uint16         `json:"refused,omitempty"` // wire addresses, from and to
	Words       registers.Words     `json:"words,omitempty"`
}

// Run polls so many times and reports. The error is that of ctx.
func (p *Probe) Run(ctx context.Context, polls int) (*Report, error) {
	own, err := registers.Parse(strings.NewReader(clockCSV))
	if err != nil {
		return nil, err
	}
	p.link.dial = p.Dial
	dongle := &inverter.Dongle{
		Pace: &pace.Pace{Interval: pace.RestTime},
		Link: inverter.Transport{Address: p.address(), Dial: p.link.connect, Timeout: cmp.Or(p.Timeout, inverter.AnswerTime), Gap: 20 * time.Millisecond,
			Settle: pace.RestTime}, // an edge may have polled just before
	}
	defer dongle.Close()
	in := &inverter.Inverter{Unit: p.Unit, Own: own, Log: slog.New(slog.DiscardHandler), Dongle: dongle}
	for range max(polls, 1) {
		p.tell("waiting until the dongle has rested")
		if err := dongle.Pace.Wait(ctx); err != nil {
			return nil, err
		}
		p.tell("reading")
		r, err := in.Read(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		p.polls++
		if err != nil {
			p.failed++
			if p.last.Map == nil {
				p.unreachable(err)
				return p.report(), nil
			}
			continue
		}
		if len(r.Set) == 0 {
			r.Set = p.last.Set // which is read rarely
		} else {
			p.setAt = time.Now()
		}
		p.last, p.readAt = r, time.Now()
		s, f, err := p.normal.Normalize(r, r.At, true)
		p.findings = f
		if p.sample = nil; err == nil {
			p.sample = &s
		}
	}
	p.look()
	return p.report(), nil
}

func (p *Probe) tell(what string) {
	if p.Tell != nil {
		p.Tell(what)
	}
}

func (p *Probe) address() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

func (p *Probe) add(area string, state checklist.State, next, format string, args ...any) {
	p.checks = append(p.checks, checklist.Check{Area: area, State: state, What: fmt.Sprintf(format, args...), Next: next})
}

// unreachable says how far it came.
func (p *Probe) unreachable(err error) {
	area := "network"
	if p.link.connected > 0 {
		p.network()
		area = "modbus"
	}
	c := checklist.Of(area, err)
	if f, ok := errors.AsType[*health.Fault](err); ok {
		c.What = p.address() + ": " + cmp.Or(f.Why, f.What)
	}
	p.checks = append(p.checks, c)
}

func (p *Probe) network() {
	p.add("network", checklist.OK, "", "%s connects in %s", p.address(), milliseconds(p.link.connectTime))
}

// look checks what was read.
func (p *Probe) look() {
	p.network()
	p.modbus()
	p.device()
	p.clock()
	if p.sample == nil {
		p.add("sample", checklist.Fail, "report this with the file of --save", "it answers, but its reading gives no sample")
		return
	}
	p.quantities()
	p.balance()
	p.blocks()
}

func (p *Probe) modbus() {
	state, next := checklist.OK, ""
	text := fmt.Sprintf("unit %d, %s median of %d reads", p.Unit, milliseconds(p.link.median()), len(p.link.times))
	if p.failed > 0 {
		state, next = checklist.Warn, "a second Modbus client has this effect (evcc, Home Assistant, SunGather): stop it, then probe again"
		text += fmt.Sprintf(", %d of %d polls failed", p.failed, p.polls)
	}
	p.add("modbus", state, next, "%s", text)
}

func (p *Probe) device() {
	r := p.last
	text := fmt.Sprintf("type code 0x%04X", r.Model.Code)
	state, next := checklist.OK, ""
	switch {
	case r.Model.Name == "":
		state, next = checklist.Warn, "report this code with the name on the inverter's label"
		text += ", which is not in the table: read as a " + kindOf(r.Model.Hybrid)
	default:
		text = fmt.Sprintf("Sungrow %s (code 0x%04X), %s", r.Model.Name, r.Model.Code, kindOf(r.Model.Hybrid))
	}
	if r.Serial != "" {
		text += ", serial " + inverter.MaskSerial(r.Serial)
	}
	p.add("device", state, next, "%s", text)
}

func kindOf(hybrid bool) string {
	if hybrid {
		return "hybrid"
	}
	return "string inverter"
}

const (
	clockOff = 5 * time.Minute  // a clock that is wrong by more is worth a word: daily counters follow it
	zoneStep = 15 * time.Minute // between the clocks of two zones, which are half an hour apart at least
	zoneOff  = 2 * time.Minute  // by which a right clock of another zone may be wrong
)

// clock compares the inverter's clock, which has no zone, with the local time of this host.
func (p *Probe) clock() {
	var parts [6]int
	for i, name := range []string{"clock_year", "clock_month", "clock_day", "clock_hour", "clock_minute", "clock_second"} {
		reg, ok := p.last.Map.Lookup(name)
		if !ok {
			return
		}
		v, err := reg.Decode(p.last.Set)
		if err != nil {
			p.add("clock", checklist.Skip, "", "the inverter does not show its clock; nothing needs it")
			return
		}
		parts[i] = int(v)
	}
	shown := time.Date(parts[0], time.Month(parts[1]), parts[2], parts[3], parts[4], parts[5], 0, time.Local)
	off := shown.Sub(p.setAt).Round(time.Second)
	state, next := checklist.OK, ""
	if hours := off.Round(zoneStep); hours.Abs() >= 2*zoneStep && (off-hours).Abs() <= zoneOff && off.Abs() < 15*time.Hour {
		state, next = checklist.Warn, "it looks like another time zone: see timedatectl on this host, and the inverter's menu. Days begin at midnight of this host's zone"
	} else if off.Abs() > clockOff {
		state, next = checklist.Warn, "set date and time in the inverter's menu or its app: its counters of the day begin at its own midnight; samples have this host's time"
	}
	p.add("clock", state, next, "inverter %s, this host %s (%s)", shown.Format("2006-01-02 15:04:05"), p.setAt.Format("15:04:05"), signed(off))
}

// signed is a duration with its sign.
func signed(d time.Duration) string {
	if d >= 0 {
		return "+" + d.String()
	}
	return d.String()
}

// blocks says what the inverter did not answer.
func (p *Probe) blocks() {
	var refused, silent []string
	for name, err := range p.last.Lost {
		if inverter.Refused(err) {
			refused = append(refused, name)
		} else {
			silent = append(silent, name+" ("+err.Error()+")")
		}
	}
	slices.Sort(refused)
	slices.Sort(silent)
	if len(refused) > 0 {
		p.add("blocks", checklist.OK, "", "it does not have all registers of block %s: what is there is read in parts", strings.Join(refused, ", "))
	}
	if len(silent) > 0 {
		p.add("blocks", checklist.Warn, "probe again; if it lasts, restart the dongle", "not answered in the last poll: %s", strings.Join(silent, ", "))
	}
	for _, doubt := range p.findings.Doubts {
		p.add("doubt", checklist.Warn, "nothing is stored for it while it lasts; report it with the file of --save", "%s", doubt)
	}
}

// report is everything that was found.
func (p *Probe) report() *Report {
	r := &Report{Host: p.Host, Port: p.Port, Unit: p.Unit, Usable: p.sample != nil, Reads: len(p.link.times), Checks: p.checks, Sample: p.sample}
	r.MedianMS = float64(p.link.median().Microseconds()) / 1000
	if p.last.Map != nil {
		r.Model, r.Serial, r.Firmware = p.last.Model.Name, inverter.MaskSerial(p.last.Serial), p.last.Firmware
		r.Testimonies, r.Refused, r.Words = p.testimonies(), p.refused(), p.last.Anonymous()
	}
	return r
}

func (p *Probe) testimonies() []witness.Testimony {
	return witness.Testimonies(witness.Poll{At: p.last.At, Words: p.last.Words, Map: p.last.Map, Hybrid: p.last.Model.Hybrid})
}

// refused returns the ranges of addresses that the inverter does not have.
func (p *Probe) refused() (ranges [][2]uint16) {
	for _, b := range p.last.Map.Reads() {
		if err := p.last.Lost[b.Name]; err == nil || !inverter.Refused(err) || b.Kind != registers.Input {
			continue
		}
		for a := b.Start; a < b.Start+b.Count; a++ {
			if _, there := p.last.Words[a]; there {
				continue
			}
			if n := len(ranges); n > 0 && ranges[n-1][1]+1 == a {
				ranges[n-1][1] = a
			} else {
				ranges = append(ranges, [2]uint16{a, a})
			}
		}
	}
	return ranges
}

// SplitAddress reads HOST, HOST:PORT or an IPv6 address, with or without brackets.
func SplitAddress(text string) (host string, port int, err error) {
	wrong := &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("%q is not the address of an inverter", text),
		Next: "write it as 192.168.1.100, or 192.168.1.100:502"}
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return ip.String(), defaultPort, nil
	}
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		host, number = text, strconv.Itoa(defaultPort)
	}
	port, err = strconv.Atoi(number)
	_, notIP := netip.ParseAddr(host)
	if name := strings.TrimSuffix(host, "."); notIP != nil && strings.Trim(name[strings.LastIndex(name, ".")+1:], "0123456789") == "" {
		return "", 0, wrong // 192.168.1.300 is no name
	}
	if err != nil || port < 1 || port > 65535 || host == "" || notIP != nil && strings.ContainsAny(host, "/ @?#:[]") {
		return "", 0, wrong
	}
	return host, port, nil
}
