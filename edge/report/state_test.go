package report

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/delivered"
	"sunspool/edge/reading"
	"sunspool/health"
)

// The line of the state is about what blocks, wherever in the chain it is, and never about a link that merely waits.
func TestSentenceIsOfWhatBlocks(t *testing.T) {
	full := &health.Fault{Code: "spool_full", What: "the spool is 98 % full", Next: "see why"}
	token := &health.Fault{Code: "credential", What: "the server refuses the token", Next: "check it"}
	silent := &health.Fault{Code: "inverter_silent", What: "the inverter is silent", Next: "look at it"}
	away := &health.Fault{Code: "vps_unreachable", What: "the server is away", Next: "wait"}
	mismatch := &health.Fault{Code: "schema_mismatch", What: "the server refuses samples", Next: "update"}
	kept := &health.Fault{Code: "poison_quarantined", What: "samples are in quarantine", Next: "nothing"}
	type links struct{ inverter, spool, vps error }
	waits := errors.New("nothing has crossed yet")
	for name, c := range map[string]struct {
		links
		condition *health.Fault
		status    string
		want      *health.Fault
	}{
		"full at the start":           {links{waits, full, waits}, nil, StateBlocked, full},
		"full, and the token":         {links{waits, full, token}, nil, StateBlocked, full},
		"token at the start":          {links{waits, nil, token}, nil, StateBlocked, token},
		"silent, and the token":       {links{silent, nil, token}, nil, StateBlocked, token},
		"away at the start":           {links{waits, nil, away}, nil, StateDegraded, away},
		"silent, and away":            {links{silent, nil, away}, nil, StateDegraded, silent},
		"away, and a condition":       {links{nil, nil, away}, mismatch, StateBlocked, mismatch},
		"silent, and one that passes": {links{silent, nil, nil}, kept, StateDegraded, silent},
		"one that passes alone":       {links{waits, nil, waits}, kept, StateDegraded, kept},
	} {
		chain := health.New(now, slog.New(slog.DiscardHandler))
		for i, err := range []error{c.inverter, c.spool, c.vps} {
			if l := chain.Link([]string{"inverter", "spool", "vps"}[i]); err != waits {
				l.Report(err)
			}
		}
		var conditions []*health.Fault
		if c.condition != nil {
			conditions = []*health.Fault{c.condition}
		}
		s := assess(chain.Status(), chain.Sentence(), conditions)
		if s.Status != c.status || !strings.Contains(s.Line(), c.want.What) || s.Next != c.want.Next || s.Reasons[0] != c.want.Code {
			t.Errorf("%s: %q, next %q, reasons %v", name, s.Line(), s.Next, s.Reasons)
		}
	}
}

// What is found out about a unit may change with each poll; a register that was not named yet is named at once.
func TestFindingsThatComeAndGoAreLoggedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, log, _ := testReport(t)
		flap := func(polls int) {
			for i := range polls {
				f := reading.Findings{}
				if i%2 == 0 {
					f.Nulled, f.NoMeter, f.NoBattery = []string{"grid_frequency"}, true, true
				}
				r.Found(f)
				time.Sleep(5 * time.Second)
			}
		}
		flap(17280)
		if n := strings.Count(log.String(), "\n"); n > 200 || !strings.Contains(log.String(), "changes_not_logged") {
			t.Errorf("%d lines in a day", n)
		}
		log.Reset()
		r.Found(reading.Findings{Nulled: []string{"phase_a_voltage"}})
		if !strings.Contains(log.String(), "phase_a_voltage") {
			t.Error("a register that is new is not logged at once")
		}
		flap(100)
		for range 1500 {
			r.Found(reading.Findings{})
			time.Sleep(5 * time.Second)
		}
		if !strings.Contains(log.String(), "no register is implausible any more") {
			t.Errorf("what stays is not logged:\n%s", log)
		}
	})
}

// A condition that comes and goes, as that of a server of two versions behind one name.
func TestConditionsThatComeAndGoAreLoggedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := stateLogger{logger: slog.New(slog.NewTextHandler(&log, nil))}
		for i := range 8640 {
			s := State{Status: StateOK, Sentence: "ok"}
			if i%2 == 0 {
				s = State{Status: StateDegraded, Reasons: []string{"poison_quarantined"}, Sentence: "x"}
			}
			l.log(s, nil)
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(log.String(), "\n"); n > 70 || n < 20 {
			t.Errorf("%d lines in a day", n)
		}
		log.Reset()
		l.log(State{Status: StateBlocked, Reasons: []string{"quarantine_full", "poison_quarantined"}, Sentence: "x"}, nil)
		if !strings.Contains(log.String(), "quarantine_full") {
			t.Error("a new reason is not logged at once")
		}
	})
}

func TestStateIsTheWorstOfItsReasons(t *testing.T) {
	link := func(name string, state health.State, code string) health.Status {
		return health.Status{Name: name, State: state, Code: code, Next: "do " + code}
	}
	fault := func(code string) *health.Fault {
		return &health.Fault{Code: code, What: "what of " + code, Next: "do " + code}
	}
	for name, c := range map[string]struct {
		links  []health.Status
		faults []*health.Fault
		status string
		reason string // all of them
		next   string
	}{
		"all well":            {[]health.Status{link("inverter", health.OK, ""), link("vps", health.OK, "")}, nil, "ok", "", ""},
		"night":               {[]health.Status{link("inverter", health.Resting, "inverter_asleep")}, nil, "ok", "", ""},
		"just started":        {[]health.Status{link("inverter", health.Unknown, "")}, nil, "ok", "", ""},
		"outage":              {[]health.Status{link("vps", health.Broken, "vps_unreachable")}, nil, "degraded", "vps_unreachable", "do vps_unreachable"},
		"inverter away":       {[]health.Status{link("inverter", health.Broken, "inverter_silent")}, nil, "degraded", "inverter_silent", "do inverter_silent"},
		"token":               {[]health.Status{link("vps", health.Broken, "credential")}, nil, "blocked", "credential", "do credential"},
		"portal":              {[]health.Status{link("vps", health.Broken, "endpoint_identity")}, nil, "blocked", "endpoint_identity", "do endpoint_identity"},
		"spool":               {[]health.Status{link("spool", health.Broken, "")}, nil, "blocked", "spool_broken", "do "},
		"both":                {[]health.Status{link("inverter", health.Broken, "inverter_silent"), link("vps", health.Broken, "tls")}, nil, "blocked", "tls inverter_silent", "do tls"},
		"quarantine":          {[]health.Status{link("vps", health.OK, "")}, []*health.Fault{fault("poison_quarantined")}, "degraded", "poison_quarantined", "do poison_quarantined"},
		"the same told twice": {[]health.Status{link("vps", health.Broken, "schema_mismatch")}, []*health.Fault{fault("schema_mismatch")}, "blocked", "schema_mismatch", "do schema_mismatch"},
	} {
		s := assess(c.links, "chain", c.faults)
		if s.Status != c.status || strings.Join(s.Reasons, " ") != c.reason || s.Next != c.next || s.Sentence == "" {
			t.Errorf("%s: %+v", name, s)
		}
		if strings.Contains(s.Line(), "\n") || (c.status != "ok") != strings.HasPrefix(s.Line(), c.status+": ") {
			t.Errorf("%s: the line is %q", name, s.Line())
		}
	}
}

// A proxy that is away may come back; one that does not do its part needs somebody.
func TestProxyThatRefusesBlocks(t *testing.T) {
	for _, f := range []string{"proxy", "proxy_unreachable"} {
		if blocks := (reason{code: f}).blocks(); blocks != (f == "proxy") {
			t.Errorf("%s blocks: %v", f, blocks)
		}
	}
}

// Every count is in health.json and among the metrics.
func TestCountsAreTheSameEverywhere(t *testing.T) {
	r, p, _, _ := testReport(t)
	p.Uploader.Copies = new(delivered.Copies)
	p.Uploader.Copies.Since.Store(now().UnixMilli())
	r.Write()
	h := r.Now()
	r.Sampled(sampleAt(now()))
	text := "\n" + scraped(t, r)
	for _, c := range counts {
		shown := strings.Contains(text, "\n# TYPE sunspool_edge_"+c.name+" ")
		if _, ok := h.Counts[c.name]; !ok || !shown || c.help == "" {
			t.Errorf("%s: in health.json %v, a metric %v", c.name, ok, shown)
		}
	}
}
