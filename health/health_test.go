package health

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// chainOf returns a chain of three links with a clock that the test moves, and its log.
func chainOf() (c *Chain, links [3]*Link, clock *time.Time, log *bytes.Buffer) {
	now := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	log = new(bytes.Buffer)
	c = New(func() time.Time { return now }, slog.New(slog.NewTextHandler(log, nil)))
	for i, name := range []string{"inverter", "spool", "vps"} {
		links[i] = c.Link(name)
	}
	return c, links, &now, log
}

func TestFirstBrokenLinkIsNamed(t *testing.T) {
	c, links, clock, _ := chainOf()
	if got := c.Sentence(); !strings.Contains(got, "inverter") {
		t.Errorf("before anything crossed: %s", got)
	}
	for _, l := range links {
		l.Report(nil)
	}
	if got := c.Sentence(); got != "ok" {
		t.Errorf("all well: %s", got)
	}
	links[2].Report(errors.New("network is unreachable"))
	*clock = clock.Add(time.Minute)
	links[1].Report(errors.New("disk full"))
	*clock = clock.Add(time.Minute)
	links[1].Report(errors.New("disk still full"))
	if got := c.Sentence(); got != "spool broken since 2026-06-21T12:01:00Z: disk still full" {
		t.Errorf("two are broken: %s", got)
	}
	links[1].Report(nil)
	if got := c.Sentence(); !strings.HasPrefix(got, "vps broken since 2026-06-21T12:00:00Z") {
		t.Errorf("one is left: %s", got)
	}
	if c.Link("vps") != links[2] || len(c.Status()) != 3 {
		t.Error("a link of the same name is another one")
	}
}

func TestOnlyChangesAreLogged(t *testing.T) {
	_, links, _, log := chainOf()
	for range 100 {
		links[0].Report(errors.New("timeout"))
	}
	links[0].Report(&Fault{Code: "other", What: "refused", Next: "do that"})
	for range 100 {
		links[0].Report(nil)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 3 {
		t.Errorf("%d lines, want broken, broken otherwise, recovered:\n%s", lines, log)
	}
	if !strings.Contains(log.String(), "do that") {
		t.Errorf("the log does not say what to do:\n%s", log)
	}
}

func TestRestIsNotTrouble(t *testing.T) {
	c, links, _, _ := chainOf()
	for _, l := range links {
		l.Report(nil)
	}
	links[0].Report(&Fault{Code: "asleep", What: "it is night", Err: ErrResting})
	s := c.Status()[0]
	if s.State != Resting || s.Code != "asleep" || !strings.HasPrefix(c.Sentence(), "ok") {
		t.Errorf("%+v, %s", s, c.Sentence())
	}
}

func TestFaultSaysAllOfIt(t *testing.T) {
	cause := errors.New("connection refused")
	f := &Fault{What: "inverter 192.0.2.7:502", Err: cause}
	if got := f.Error(); got != "inverter 192.0.2.7:502: connection refused" {
		t.Error(got)
	}
	f.Why = "port 502 is closed"
	if got := f.Error(); got != "inverter 192.0.2.7:502: port 502 is closed" {
		t.Error(got)
	}
	if !errors.Is(fmt.Errorf("poll: %w", f), cause) || codeOf(fmt.Errorf("poll: %w", &Fault{Code: "x"})) != "x" {
		t.Error("the cause is not found")
	}
}
