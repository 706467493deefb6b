package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sunspool/cli/doctor"
	"sunspool/cli/setup"
	"sunspool/edge/report"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/vps"
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

func (c statusCommand) do(ctx context.Context, stdout io.Writer, terminal bool, style checklist.Style) error {
	pv := recentPV{}
	for {
		s := c.look(ctx, !c.Check)
		if c.Watch && terminal {
			pv.add(s.Edges)
		}
		if err := c.print(stdout, s, terminal, style, pv); err != nil {
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

// look asks every service of the machine, and for today's energies if they are wanted.
func (c statusCommand) look(ctx context.Context, energies bool) machineStatus {
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
	if s.VPS, err = vps.AskStatus(ctx, c.Server); err == nil && energies {
		s.VPS.AddToday(ctx, c.Server)
	}
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

func (c statusCommand) print(out io.Writer, s machineStatus, terminal bool, style checklist.Style, pv recentPV) error {
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
	p := checklist.Printer{Style: style, Out: &text}
	head := checklist.Check{Area: s.Status, State: stateOf(s.Status), What: s.Sentence, Next: s.Next}
	p.Print(head)
	for _, h := range s.Edges {
		fmt.Fprintln(&text)
		for _, check := range edgeLines(h, s.today(h.DeviceID), time.Now()) {
			p.Print(check)
		}
		if check, ok := pv.line(h.DeviceID, style.Plain); ok {
			p.Print(check)
		}
	}
	if s.VPS != nil {
		fmt.Fprintln(&text)
		for _, check := range vpsLines(s.VPS, s.hasEdge) {
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

// today is what the vps of this machine has of a device since midnight, or nil.
func (s machineStatus) today(device string) *vps.Today {
	if s.VPS != nil {
		for _, d := range s.VPS.Devices {
			if d.ID == device {
				return d.Today
			}
		}
	}
	return nil
}

func (s machineStatus) hasEdge(device string) bool {
	return slices.ContainsFunc(s.Edges, func(h report.Health) bool { return h.DeviceID == device })
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
