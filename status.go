package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"sunspool/cli/doctor"
	"sunspool/cli/setup"
	"sunspool/edge/report"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/vps"
	"sunspool/wire"
)

const watchEvery = time.Second

// statusCommand says how the services of this machine are.
type statusCommand struct {
	Watch bool `help:"Print it again each second, until Ctrl-C."`
	Check bool `help:"Print one line. The exit status says it: 0 works, 6 something is wrong, 5 nothing answers."`
	JSON  bool `name:"json" help:"Print JSON."`

	HealthPath string            `name:"health-path" env:"HEALTH_PATH" placeholder:"FILE" help:"Health file of the edge. Default: those of the package's edges, else the one beside the spool."`
	SpoolPath  string            `name:"spool-path" env:"SPOOL_PATH" default:"/data/spool.db" hidden:""`
	Server     vps.MachineConfig `embed:""`
}

// machineStatus is how the services are.
type machineStatus struct {
	Status   string          `json:"status"` // ok, degraded, blocked, or silent when nothing answers
	Sentence string          `json:"sentence"`
	Next     string          `json:"next,omitempty"`
	Area     string          `json:"area,omitempty"` // of sunspool doctor, which says more of what is wrong
	Edges    []report.Health `json:"edges"`
	VPS      *vps.Status     `json:"vps,omitempty"`
	Denied   bool            `json:"vps_denied,omitempty"` // there is one, and this user may not ask it
}

const silent = "silent"

func (c statusCommand) do(ctx context.Context, stdout io.Writer, terminal bool) error {
	for {
		s := c.look(ctx)
		if err := c.print(stdout, s, terminal); err != nil {
			return err
		}
		if !c.Watch {
			return c.verdict(s)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// look asks every service of the machine.
func (c statusCommand) look(ctx context.Context) machineStatus {
	s := machineStatus{Edges: []report.Health{}}
	for _, file := range report.HealthFiles(c.HealthPath, c.SpoolPath) {
		if !report.Runs(file) {
			continue
		}
		h, err := report.Look(ctx, file, time.Now())
		if err != nil {
			h = report.Health{DeviceID: h.DeviceID, Status: silent, Sentence: err.Error(), Next: "sudo sunspool doctor service"}
		}
		s.Edges = append(s.Edges, h)
	}
	var err error
	s.VPS, err = vps.AskStatus(ctx, c.Server)
	if f, ok := errors.AsType[*health.Fault](err); ok {
		s.Denied = strings.Contains(f.Why, "permission denied")
	}
	s.judge()
	if s.Status == silent && len(s.Edges) == 0 && !s.Denied {
		if configured, err := setup.Configured(""); err == nil && !configured {
			s.Next = "sudo sunspool setup   # or, if they are set up by the environment, see their logs"
		}
	}
	return s
}

// judge finds the one sentence: of what is worst.
func (s *machineStatus) judge() {
	if len(s.Edges) == 0 && s.VPS == nil {
		s.Status, s.Sentence, s.Next = silent, "no edge and no vps of this machine answers", "systemctl status sunspool-edge sunspool-vps   # or: sudo sunspool doctor"
		if s.Denied {
			s.Sentence, s.Next = "the vps of this machine answers root and its own user alone", "sudo sunspool status"
		}
		return
	}
	s.Status = report.StateOK
	rank := map[string]int{report.StateOK: 0, report.StateDegraded: 1, silent: 2, report.StateBlocked: 3}
	take := func(status, sentence, next, area string) {
		if rank[status] > rank[s.Status] {
			s.Status, s.Sentence, s.Next, s.Area = status, sentence, next, area
		}
	}
	for _, h := range s.Edges {
		sentence, _, _ := strings.Cut(h.Sentence, "\n")
		if h.DeviceID != "" {
			sentence = h.DeviceID + ": " + sentence
		}
		area := doctor.AreaOf(h.Reason)
		if h.Status == silent {
			area = "service"
		}
		take(h.Status, sentence, h.Next, area)
	}
	if s.VPS != nil && !s.VPS.Ready {
		take(report.StateBlocked, "the vps cannot store samples: "+s.VPS.Why, "", "vps")
	}
	if s.Sentence == "" {
		s.Sentence = "healthy"
	}
}

func (c statusCommand) verdict(s machineStatus) error {
	if !c.Check || s.Status == report.StateOK {
		if s.Status == silent && !c.JSON && len(s.Edges) == 0 {
			return &health.Fault{Code: "no_service", Exit: health.ExitUnreachable, What: s.Sentence, Next: s.Next}
		}
		return nil
	}
	exit := health.ExitUnhealthy
	if s.Status == silent {
		exit = health.ExitUnreachable
	}
	return &health.Fault{Code: "unhealthy", Exit: exit, What: s.Sentence, Next: cmp.Or(s.Next, s.doctor())}
}

func (c statusCommand) print(out io.Writer, s machineStatus, terminal bool) error {
	switch {
	case c.JSON:
		return json.NewEncoder(out).Encode(s)
	case c.Check:
		if s.Status == report.StateOK {
			_, err := fmt.Fprintln(out, s.Sentence)
			return err
		}
		return nil // the error says it
	case s.Status == silent && len(s.Edges) == 0 && !c.Watch:
		return nil // the error says it
	}
	var text strings.Builder
	if c.Watch && terminal {
		text.WriteString("\x1b[H\x1b[2J")
	}
	p := checklist.Printer{Out: &text, Plain: checklist.PlainLocale()}
	head := checklist.Check{Area: s.Status, State: stateOf(s.Status), What: s.Sentence, Next: s.Next}
	p.Print(head)
	for _, h := range s.Edges {
		fmt.Fprintln(&text)
		for _, check := range edgeLines(h, time.Now()) {
			p.Print(check)
		}
	}
	if s.VPS != nil {
		fmt.Fprintln(&text)
		for _, check := range vpsLines(s.VPS) {
			p.Print(check)
		}
	} else if s.Denied {
		fmt.Fprintln(&text)
		p.Print(checklist.Check{Area: "vps", State: checklist.Skip, What: "it answers root and its own user alone", Next: "sudo sunspool status"})
	}
	if s.Status != report.StateOK && (s.VPS != nil || len(s.Edges) > 0) {
		fmt.Fprintf(&text, "\nnext: %s\n", s.doctor())
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// doctor is the command that finds out what is wrong.
func (s machineStatus) doctor() string { return strings.TrimSpace("sudo sunspool doctor " + s.Area) }

func stateOf(status string) checklist.State {
	switch status {
	case report.StateOK:
		return checklist.OK
	case report.StateDegraded:
		return checklist.Warn
	}
	return checklist.Fail
}

// edgeLines are how an edge is, link by link, and what the inverter measures.
func edgeLines(h report.Health, now time.Time) []checklist.Check {
	name := "edge"
	if h.DeviceID != "" {
		name += " " + h.DeviceID
	}
	if h.Version == "" { // it does not answer
		return []checklist.Check{{Area: name, State: checklist.Fail, What: h.Sentence}}
	}
	lines := []checklist.Check{{Area: "edge", State: checklist.OK, What: fmt.Sprintf("%s, sunspool %s, up %s", h.DeviceID, h.Version, health.Span(time.Duration(h.UptimeS*float64(time.Second))))}}
	for _, link := range h.Links {
		lines = append(lines, linkLine(h, link, now))
	}
	if s := h.Sample; s != nil {
		lines = append(lines, checklist.Check{Area: "now", State: checklist.OK, What: powers(s)})
	}
	return lines
}

// linkLine is how one link of an edge is.
func linkLine(h report.Health, link health.Status, now time.Time) checklist.Check {
	c := checklist.Check{Area: link.Name, State: checklist.OK}
	switch link.State {
	case health.Broken:
		c.State, c.What, c.Next, c.Code = checklist.Fail, fmt.Sprintf("broken for %s: %s", health.Span(now.Sub(link.Since)), link.LastError), link.Next, link.Code
		return c
	case health.Resting:
		c.What = "resting for " + health.Span(now.Sub(link.Since))
		return c
	case health.Unknown:
		c.State, c.What = checklist.Skip, "nothing has happened yet"
		return c
	}
	switch link.Name {
	case "inverter":
		c.What = strings.TrimSpace(h.Model + " " + h.Serial)
		if h.LastPoll != nil {
			c.What += ", read " + ago(*h.LastPoll, now)
		}
	case "spool":
		c.What = fmt.Sprintf("%d waiting, %.1f %% of its room", h.SpoolCount, h.SpoolShare)
		if kept, counted := h.Counts["kept_samples"]; counted {
			c.What += fmt.Sprintf(", copies of %d delivered ones", kept)
		}
		if h.Quarantined > 0 {
			c.State, c.What, c.Next = checklist.Warn, c.What+fmt.Sprintf(", %d in quarantine", h.Quarantined), "sunspool spool quarantine"
		}
	case "vps":
		c.Area, c.What = "upload", "nothing was delivered yet"
		if h.LastUpload != nil {
			c.What = "last batch " + ago(*h.LastUpload, now)
		}
	case "clock":
		c.What = h.Clock
		if h.Held > 0 {
			c.What += fmt.Sprintf(", %d samples wait until the time is known", h.Held)
		}
	default:
		c.What = "ok"
	}
	return c
}

// vpsLines are how the vps is, and each device.
func vpsLines(s *vps.Status) []checklist.Check {
	first := checklist.Check{Area: "vps", State: checklist.OK, What: fmt.Sprintf("sunspool %s, devices: %d", s.Version, len(s.Devices))}
	if !s.Ready {
		first.State, first.What = checklist.Fail, "samples cannot be stored: "+s.Why
	}
	lines := []checklist.Check{first}
	for _, d := range s.Devices {
		c := checklist.Check{Area: d.ID, State: checklist.OK, What: d.State}
		if d.AgeS != nil {
			c.What += ", newest sample " + health.Span(time.Duration(*d.AgeS*float64(time.Second))) + " old"
		}
		if d.State != "live" && d.State != "asleep" {
			c.State = checklist.Warn
		}
		lines = append(lines, c)
	}
	return lines
}

// powers are what the last sample measured.
func powers(s *wire.Sample) string {
	parts := []string{"PV " + kilowatts(s.PVPowerW)}
	if s.LoadPowerW != nil {
		parts = append(parts, "home "+kilowatts(*s.LoadPowerW))
	}
	if s.BatteryPowerW != nil {
		text := "battery " + fmt.Sprintf("%+.2f kW", *s.BatteryPowerW/1000)
		if s.BatterySOCPct != nil {
			text += fmt.Sprintf(" (%.0f %%)", *s.BatterySOCPct)
		}
		parts = append(parts, text)
	}
	if s.ExportPowerW != nil {
		word := "export "
		if *s.ExportPowerW < 0 {
			word = "import "
		}
		parts = append(parts, word+kilowatts(math.Abs(*s.ExportPowerW)))
	}
	return strings.Join(parts, " · ")
}

func kilowatts(watts float64) string { return fmt.Sprintf("%.2f kW", watts/1000) }

// ago is how long ago something was, for people.
func ago(t, now time.Time) string { return health.Span(now.Sub(t)) + " ago" }
