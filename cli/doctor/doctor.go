// Package doctor finds out what is wrong with the services of this machine, and names the first thing that fails on the way of a
// sample, because what fails behind it often only follows:
//
//	settings ─> service ─> disk ─> inverter ─> clock ─> spool ─> upload ─> vps        and the package
//	    all areas at once, each within its time ──> checks, in this order ──> one sentence and what to do
//
// It changes nothing. A service that runs is asked by its socket: a dongle has one connection, which is the edge's.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/internal/checklist"
)

// Config is the command line of `sunspool doctor`.
type Config struct {
	Area   string `arg:"" optional:"" enum:"all,config,service,disk,inverter,clock,spool,upload,vps,package" default:"all" help:"Look at one area alone: ${enum}."`
	Bundle string `placeholder:"FILE" help:"Also write what a person needs who helps, without secrets and serial numbers: a new FILE.tar.gz."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// The areas, in the order in which a sample meets them.
const (
	areaConfig   = "config"
	areaService  = "service"
	areaDisk     = "disk"
	areaInverter = "inverter"
	areaClock    = "clock"
	areaSpool    = "spool"
	areaUpload   = "upload"
	areaVPS      = "vps"
	areaPackage  = "package"
)

const (
	wholeTime = 20 * time.Second // of a run
	areaTime  = 16 * time.Second // of an area, which ends by itself long before unless a disk or a program hangs
	tryTime   = 8 * time.Second  // of one request, one name, one program
)

// The states of a result; the last one is that of a machine on which there is nothing to look at.
const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
	statusNone = "none"
)

// Result is what `sunspool doctor --json` prints.
type Result struct {
	Status   string    `json:"status"`         // ok, warn, fail, or none without a service
	Area     string    `json:"area,omitempty"` // of what is named
	Code     string    `json:"code,omitempty"`
	Sentence string    `json:"sentence"`
	Why      string    `json:"why,omitempty"`
	Next     string    `json:"next,omitempty"`
	Exit     int       `json:"exit"`
	Version  string    `json:"version"`
	Time     time.Time `json:"time"`
	TookS    float64   `json:"took_s"`
	Checks   []Check   `json:"checks"`
}

// Check is one thing that was looked at.
type Check struct {
	checklist.Check
	exit int
}

// Doctor is one run.
type Doctor struct {
	Version string
	Out     io.Writer
	Style   checklist.Style
	Machine *Machine // nil is this one
}

// Do looks at the machine and prints what it finds. The error is a *health.Fault of what is wrong.
func (d Doctor) Do(ctx context.Context, cfg Config) error {
	if d.Machine == nil {
		d.Machine = ThisMachine()
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	services := d.Machine.services(ctx)
	e := examination{Machine: d.Machine, version: d.Version, services: services, asked: newAsked()}
	r := judge(e.look(ctx, cfg.Area), len(services))
	r.Version, r.Time, r.TookS = d.Version, d.Machine.Now().UTC().Truncate(time.Second), float64(time.Since(begun).Milliseconds())/1000
	if err := d.print(r, cfg.JSON); err != nil {
		return err
	}
	if cfg.Bundle != "" {
		files, err := e.bundle(ctx, cfg.Bundle, r)
		if err != nil {
			return err
		}
		if !cfg.JSON {
			fmt.Fprintf(d.Out, "\n%s has, without secrets and serial numbers: %s\n", cfg.Bundle, strings.Join(files, ", "))
		}
	}
	return r.verdict()
}

// examination is what the checks of a run have in common.
type examination struct {
	*Machine
	version  string
	services []*service
	asked    *asked
}

// area looks at one thing.
type area struct {
	name string
	look func(context.Context) []Check
}

func (e *examination) areas() []area {
	return []area{
		{areaConfig, e.config}, {areaService, e.service}, {areaDisk, e.disk}, {areaInverter, e.inverter}, {areaClock, e.clock},
		{areaSpool, e.spool}, {areaUpload, e.upload}, {areaVPS, e.vps}, {areaPackage, e.packaged},
	}
}

// look looks at the area of that name, or at all of them, all at once.
func (e *examination) look(ctx context.Context, only string) (all []Check) {
	ctx, cancel := context.WithTimeout(ctx, areaTime)
	defer cancel()
	type found struct {
		area   int
		checks []Check
	}
	areas := e.areas()
	results := make(chan found, len(areas))
	waiting := map[int]bool{}
	for i, a := range areas {
		if only == a.name || only == "all" || only == "" {
			waiting[i] = true
			go func() { results <- found{i, a.look(ctx)} }()
		}
	}
	looked := make([][]Check, len(areas))
	over := time.After(areaTime + time.Second)
	for len(waiting) > 0 {
		select {
		case f := <-results:
			looked[f.area] = f.checks
			delete(waiting, f.area)
			continue
		case <-over: // a disk that hangs, and takes no notice of ctx
		}
		for i := range waiting {
			looked[i] = []Check{fail(areas[i].name, &health.Fault{Code: "check_hangs", What: fmt.Sprintf("looking at it takes longer than %v", areaTime), Why: "a disk or a program of the system does not answer",
				Next: "sudo dmesg   # does the disk report errors?"})}
		}
		break
	}
	return slices.Concat(looked...)
}

// judge finds the one sentence: the first that fails, else the first to look at.
func judge(checks []Check, services int) Result {
	r := Result{Status: statusOK, Sentence: "all is well", Checks: checks}
	if services == 0 {
		return Result{Status: statusNone, Code: "no_service", Sentence: "no edge and no vps is set up on this machine", Next: "sudo sunspool setup", Exit: health.ExitUnreachable, Checks: []Check{}}
	}
	warned, unseen, seen := 0, "", 0
	for _, c := range checks {
		switch {
		case c.State == checklist.Fail:
			return Result{Status: statusFail, Area: c.Area, Code: c.Code, Sentence: c.What, Why: c.Why, Next: c.Next, Exit: exitOf(c), Checks: checks}
		case c.State == checklist.Warn:
			if warned++; warned == 1 {
				r.Status, r.Area, r.Code, r.Sentence, r.Why, r.Next = statusWarn, c.Area, c.Code, c.What, c.Why, c.Next
			}
		case c.State == checklist.Skip && c.Code == codeDenied:
			unseen = c.Next
		case c.State == checklist.OK:
			seen++
		}
	}
	switch {
	case warned > 1:
		r.Sentence = fmt.Sprintf("nothing fails; %d things need a look, the first: %s", warned, r.Sentence)
	case warned == 1:
		r.Sentence = "nothing fails; one thing needs a look: " + r.Sentence
	case unseen != "":
		r.Sentence, r.Next = "nothing fails in what this user may see, which is not all", unseen
	case seen == 0:
		r.Sentence = "there was nothing to look at in this area"
	}
	return r
}

// exitOf is the exit status of a check that failed: wrong settings, a peer that is away, or anything else that is wrong.
func exitOf(c Check) int {
	if c.exit == health.ExitConfig || c.exit == health.ExitUnreachable {
		return c.exit
	}
	return health.ExitUnhealthy
}

// verdict is nil unless something fails. The code of that is in the result.
func (r Result) verdict() error {
	if r.Status != statusFail && r.Status != statusNone {
		return nil
	}
	what := r.Sentence
	if r.Area != "" {
		what = r.Area + ": " + what
	}
	return &health.Fault{Code: "unhealthy", Exit: r.Exit, What: what, Why: r.Why, Next: r.Next}
}

func (d Doctor) print(r Result, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(d.Out)
		out.SetIndent("", "  ")
		return out.Encode(r)
	}
	_, err := io.WriteString(d.Out, r.text(d.Style))
	return err
}

// text is the result for people.
func (r Result) text(style checklist.Style) string {
	var text strings.Builder
	p := checklist.Printer{Style: style, Out: &text, Shell: true}
	states := map[string]checklist.State{statusOK: checklist.OK, statusWarn: checklist.Warn, statusFail: checklist.Fail, statusNone: checklist.Fail}
	head := checklist.Check{Area: r.Status, State: states[r.Status], What: r.Sentence}
	if r.Area != "" {
		head.What = r.Area + ": " + head.What
	}
	if head.Why = r.Why; r.Status != statusFail { // what to do about that is in the error
		head.Next = r.Next
	}
	p.Print(head)
	area := ""
	for _, c := range r.Checks {
		if c.Area != area {
			fmt.Fprintln(&text)
		}
		area = c.Area
		p.Print(c.Check)
	}
	return text.String()
}

const codeDenied = "denied"

func (c Check) fails() bool { return c.State == checklist.Fail }

func pass(area, format string, args ...any) Check {
	return Check{Check: checklist.Check{Area: area, State: checklist.OK, What: fmt.Sprintf(format, args...)}}
}

func skip(area, what, next string) Check {
	return Check{Check: checklist.Check{Area: area, State: checklist.Skip, What: what, Next: next}}
}

// denied is a check that needs the rights of root.
func denied(area, what string) Check {
	c := skip(area, what, "sudo sunspool doctor")
	c.Code = codeDenied
	return c
}

func warn(area string, f *health.Fault) Check {
	c := fail(area, f)
	c.State = checklist.Warn
	return c
}

func fail(area string, f *health.Fault) Check {
	why := f.Why
	if why == "" && f.Err != nil {
		why = f.Err.Error()
	}
	return Check{Check: checklist.Check{Area: area, State: checklist.Fail, What: f.What, Why: why, Next: f.Next, Code: f.Code}, exit: f.Exit}
}
