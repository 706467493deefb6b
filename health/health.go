// Package health keeps track of which link of the chain is broken, and since when.
//
// Data crosses the links in one direction, so the first broken link explains the ones after it, and it is the one that
// is named:
//
//	edge: inverter ──> spool ──> vps          vps: ingest ──> store ──> cache
//
// Every crossing is reported, nil included; only changes are logged, and those of a link that flaps within bounds.
package health

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// State of a link.
type State string

const (
	Unknown State = "unknown" // nothing has crossed it yet
	OK      State = "ok"
	Resting State = "resting" // nothing crosses and nothing is wrong: an inverter that sleeps at night
	Broken  State = "broken"
)

// Chain is the ordered list of links that a sample crosses. Use New.
type Chain struct {
	now func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	links []*Link
}

// New returns an empty chain that takes the time from now and logs changes of state to log.
func New(now func() time.Time, log *slog.Logger) *Chain {
	return &Chain{now: now, log: log}
}

// Link is one hop of the chain. Its methods may be called from any goroutine.
type Link struct {
	chain *Chain
	name  string

	// guarded by chain.mu
	now      Status
	bound    Bound
	logged   string        // state and code in the last line of the log
	changes  int           // since then
	inBroken time.Duration // spent broken since then, until the present state
}

// Status is what is known of a link.
type Status struct {
	Name      string    `json:"name"`
	State     State     `json:"state"`
	Since     time.Time `json:"since"`                // of this state
	LastOK    time.Time `json:"last_ok,omitzero"`     // of the last crossing
	LastError string    `json:"last_error,omitempty"` // kept after recovery: what it was
	LastErrTS time.Time `json:"last_error_ts,omitzero"`
	Code      string    `json:"code,omitempty"` // of the present trouble, see Fault
	Next      string    `json:"next,omitempty"` // what the operator can do about it
}

// Link returns the link of that name, appending it to the chain if it is new: name the links in the order in which
// data crosses them.
func (c *Chain) Link(name string) *Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		if l.name == name {
			return l
		}
	}
	l := &Link{chain: c, name: name, now: Status{Name: name, State: Unknown, Since: c.now()}}
	c.links = append(c.links, l)
	return l
}

// Report records how a crossing went. A nil err is a crossing that succeeded, ErrResting one that did not happen for a
// good reason, and anything else breaks the link.
func (l *Link) Report(err error) {
	c := l.chain
	c.mu.Lock()
	defer c.mu.Unlock()

	now, before := c.now(), l.now
	s := &l.now
	s.Code, s.Next = "", ""
	switch {
	case err == nil:
		s.State, s.LastOK = OK, now
	case errors.Is(err, ErrResting):
		s.State, s.LastOK = Resting, now
		s.Code = codeOf(err)
	default:
		s.State, s.LastError, s.LastErrTS = Broken, err.Error(), now
		s.Code = codeOf(err)
		if f, ok := errors.AsType[*Fault](err); ok {
			s.Next = f.Next
		}
	}
	if s.State != before.State {
		s.Since = now
		if before.State == Broken {
			l.inBroken += now.Sub(before.Since)
		}
	}
	if s.State != before.State || s.Code != before.Code {
		l.changes++
	}
	if kind := string(s.State) + " " + s.Code; kind != l.logged && l.bound.Allow(now, kind) {
		l.log(err)
		l.logged, l.changes, l.inBroken = kind, 0, 0
	}
}

// log writes the present state, and how many changes before it were not logged because the link flaps.
func (l *Link) log(err error) {
	log := l.chain.log.With("link", l.name)
	if l.changes > 1 {
		log = log.With("flapping", true, "changes_not_logged", l.changes-1)
	}
	switch l.now.State {
	case OK:
		if l.inBroken > 0 || strings.HasPrefix(l.logged, string(Broken)) {
			log.Info("link recovered", "broken_s", l.inBroken.Seconds(), "was", l.now.LastError)
		} else {
			log.Info("link ok")
		}
	case Resting:
		log.Info("link resting", "why", err.Error())
	case Broken:
		args := []any{"error", err.Error()}
		if l.now.Code != "" {
			args = append(args, "code", l.now.Code)
		}
		if l.now.Next != "" {
			args = append(args, "next", l.now.Next)
		}
		log.Error("link broken", args...)
	}
}

// Status returns what is known of each link, in order.
func (c *Chain) Status() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Status, len(c.links))
	for i, l := range c.links {
		all[i] = l.now
	}
	return all
}

// Sentence is how the link is, in one sentence.
func (s Status) Sentence() string {
	switch s.State {
	case Broken:
		return fmt.Sprintf("%s broken since %s: %s", s.Name, s.Since.Format(time.RFC3339), s.LastError)
	case Unknown:
		return fmt.Sprintf("waiting for the first answer of %s", s.Name)
	case Resting:
		return fmt.Sprintf("ok, %s resting since %s", s.Name, s.Since.Format(time.RFC3339))
	}
	return "ok"
}

// Sentence is how the chain is, in one sentence: that of its first broken link, else of the first one that is not ok. A
// link behind one that rests, or that nothing has crossed yet, is not named: it has had nothing to do.
func (c *Chain) Sentence() string {
	all := c.Status()
	for _, named := range []func(State) bool{
		func(s State) bool { return s == Broken },
		func(s State) bool { return s != OK },
	} {
		if i := slices.IndexFunc(all, func(s Status) bool { return named(s.State) }); i >= 0 {
			return all[i].Sentence()
		}
	}
	return "ok"
}
