package report

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sunspool/health"
)

// The states of an edge.
const (
	StateOK       = "ok"
	StateDegraded = "degraded" // something is wrong; nothing is lost, and it may pass by itself
	StateBlocked  = "blocked"  // samples cannot be kept or delivered until somebody does something
)

// blocking are the reasons that do not pass by themselves.
var blocking = []string{
	"credential", "endpoint_identity", "tls", "schema_mismatch", "quarantine_full", "spool_full", "disk_readonly", "disk_error", "spool_broken",
	"spool_unusable", "inverter_changed", "file_missing", "body_limit", "proxy",
}

// conditions returns what is wrong besides a link that is broken, the worst first. nil is all right.
func (r *Report) conditions() []*health.Fault {
	u := r.parts().Uploader
	return append(u.Faults(), r.meterless(), r.contradicted(), u.ClockAhead())
}

// State is how the edge is: health.json, the status of the service, the log and what is sent with each upload are all made
// from it.
type State struct {
	Status   string   // one of the above
	Reasons  []string // codes; empty when ok
	Sentence string   // for people, of the first reason
	Next     string   // what they can do about it
}

// reason is one thing that is wrong.
type reason struct{ code, sentence, next string }

func (r reason) blocks() bool { return slices.Contains(blocking, r.code) }

// assess finds the state. What blocks comes first, because the operator has to act on it; then the first broken link, which
// explains what is behind it; then conditions.
func assess(links []health.Status, chain string, faults []*health.Fault) State {
	var wrong []reason
	for _, l := range links {
		if l.State == health.Broken {
			wrong = append(wrong, reason{orName(l.Code, l.Name), l.Sentence(), l.Next})
		}
	}
	for _, f := range faults {
		wrong = append(wrong, reason{f.Code, f.Error(), f.Next})
	}
	slices.SortStableFunc(wrong, func(a, b reason) int { return cmp.Compare(rankOf(a), rankOf(b)) })
	if len(wrong) == 0 {
		return State{Status: StateOK, Sentence: chain}
	}
	s := State{Status: StateDegraded, Sentence: wrong[0].sentence, Next: wrong[0].next}
	if wrong[0].blocks() {
		s.Status = StateBlocked
	}
	for _, r := range wrong {
		if !slices.Contains(s.Reasons, r.code) {
			s.Reasons = append(s.Reasons, r.code)
		}
	}
	return s
}

// rankOf returns the place of r among the reasons.
func rankOf(r reason) int {
	if r.blocks() {
		return 0
	}
	return 1
}

func orName(code, link string) string {
	if code == "" {
		return link + "_broken"
	}
	return code
}

// Line returns the state in one line.
func (s State) Line() string {
	line, _, _ := strings.Cut(s.Sentence, "\n")
	if s.Status != StateOK {
		line = s.Status + ": " + line
	}
	return line
}

// State returns the present state.
func (r *Report) State() State {
	var faults []*health.Fault
	for _, f := range r.conditions() {
		if f != nil {
			faults = append(faults, f)
		}
	}
	return assess(r.Chain.Status(), r.Chain.Sentence(), faults)
}

// notify reports the status to the service manager, when it is another line than before.
func (r *Report) notify(state State) {
	if r.Notify == nil {
		return
	}
	status := r.line(state)
	r.mu.Lock()
	fresh := status != r.lastStatus
	r.lastStatus = status
	r.mu.Unlock()
	if fresh {
		r.Notify(status)
	}
}

// Status returns the state in one line, for the service manager.
func (r *Report) Status() string { return r.line(r.State()) }

func (r *Report) line(state State) string {
	line, parts := state.Line(), r.parts()
	r.mu.Lock()
	model := r.model
	r.mu.Unlock()
	if line == StateOK && model != "" {
		line += fmt.Sprintf(": reads the %s every %v", model, parts.Slowed)
	}
	if n := parts.Spool.Waiting(); n > 0 {
		line += fmt.Sprintf("; %d waiting", n)
	}
	if n := parts.Spool.InQuarantine(); n > 0 {
		line += fmt.Sprintf("; %d in quarantine", n)
	}
	return line
}

// stateLogger logs conditions when they come and go, and repeats a state that is not ok from time to time: never per
// attempt, and within bounds when they come and go all the time.
type stateLogger struct {
	logger     *slog.Logger
	lastLogged []string // the reasons that the log has
	at         time.Time
	bound      health.Bound
}

const repeatLog = 6 * time.Hour

func (t *stateLogger) log(s State, links []health.Status) {
	ofLink := func(code string) bool { // the chain has logged it
		return slices.ContainsFunc(links, func(l health.Status) bool { return l.State == health.Broken && orName(l.Code, l.Name) == code })
	}
	var fresh, known, gone []string
	for _, code := range s.Reasons {
		switch {
		case slices.Contains(t.lastLogged, code) || ofLink(code):
			known = append(known, code)
		case t.bound.Allow(now(), code):
			fresh = append(fresh, code)
		}
	}
	for _, code := range t.lastLogged {
		if !slices.Contains(s.Reasons, code) {
			gone = append(gone, code)
		}
	}
	switch {
	case len(fresh) > 0:
		t.logger.Error("edge "+s.Status, "reasons", s.Reasons, "sentence", s.Sentence, "next", s.Next)
	case len(gone) > 0 && s.Status == StateOK:
		if !t.bound.Allow(now(), StateOK) {
			return // it is tried again
		}
		t.logger.Info("edge ok", "was", gone)
	case s.Status != StateOK && now().Sub(t.at) >= repeatLog && len(gone) == 0 && len(known) == len(t.lastLogged):
		t.logger.Error("edge still "+s.Status, "reasons", s.Reasons, "sentence", s.Sentence, "next", s.Next)
	case len(gone) == 0 && len(known) == len(t.lastLogged):
		return
	}
	t.lastLogged, t.at = slices.Concat(known, fresh), now()
}
