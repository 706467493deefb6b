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

// A dongle that fails at every second poll changes the state of its link 17,280 times a day.
func TestFlappingLinkIsLoggedWithinBounds(t *testing.T) {
	_, links, clock, log := chainOf()
	l := links[0]
	changes := 0
	flap := func(polls int) {
		for i := range polls {
			var err error
			if i%2 == 0 {
				err = &Fault{Code: "inverter_reset", What: "it closed the connection"}
			}
			l.Report(err)
			changes++
			*clock = clock.Add(5 * time.Second)
		}
	}
	flap(17280)
	text := log.String()
	if n := strings.Count(text, "\n"); n > 70 || n < 24 {
		t.Errorf("%d lines in a day", n)
	}
	if first, _, _ := strings.Cut(text, "\n"); !strings.Contains(first, "link broken") || strings.Contains(first, "changes_not_logged") {
		t.Errorf("the first change is %s", first)
	}

	log.Reset()
	l.Report(&Fault{Code: "inverter_silent", What: "no answer"}) // another kind
	if !strings.Contains(log.String(), "inverter_silent") {
		t.Error("a new kind of fault is not logged at once")
	}
	changes++
	flap(60)
	log.Reset()
	flap(1)
	for range 2 * 720 { // then it stays broken
		l.Report(&Fault{Code: "inverter_reset", What: "it closed the connection"})
		*clock = clock.Add(5 * time.Second)
	}
	for range 2 * 720 { // and then it is well
		l.Report(nil)
		*clock = clock.Add(5 * time.Second)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "link recovered") || len(lines) > 3 {
		t.Errorf("what stays is not the last that is logged:\n%s", log)
	}

	logged := 0
	for line := range strings.Lines(text) {
		if _, n, ok := strings.Cut(line, "changes_not_logged="); ok {
			var missed int
			fmt.Sscan(n, &missed)
			logged += missed
		}
		logged++
	}
	if logged < 17280-720-1 || logged > 17280 {
		t.Errorf("the log accounts for %d of 17280 changes", logged)
	}
}

// However many faults a link changes between, an hour has at most 60 lines, each of which has what was left out, and the
// fault that stays is in the log.
func TestLinkThatChangesBetweenManyFaultsIsLoggedWithinBounds(t *testing.T) {
	for _, faults := range []int{2, 5, 20, 200} {
		_, links, clock, log := chainOf()
		l, changes, logged := links[0], 0, 0
		for hour := range 24 {
			log.Reset()
			for range 720 {
				l.Report(&Fault{Code: fmt.Sprintf("fault_%d", changes%faults), What: "it is wrong"})
				changes++
				*clock = clock.Add(5 * time.Second)
			}
			lines := strings.Count(log.String(), "\n")
			if lines == 0 || lines > 60 || hour > 0 && !strings.Contains(log.String(), "flapping=true") {
				t.Errorf("%d faults: %d lines in hour %d", faults, lines, hour)
			}
			for line := range strings.Lines(log.String()) {
				if _, n, ok := strings.Cut(line, "changes_not_logged="); ok {
					var missed int
					fmt.Sscan(n, &missed)
					logged += missed
				}
				logged++
			}
		}
		if logged < changes-1440 || logged > changes {
			t.Errorf("%d faults: the log accounts for %d of %d changes", faults, logged, changes)
		}
		log.Reset()
		for range 720 {
			l.Report(&Fault{Code: "fault_1", What: "it is wrong"})
			*clock = clock.Add(5 * time.Second)
		}
		if lines := strings.Count(log.String(), "\n"); lines > 1 || l.logged != "broken fault_1" {
			t.Errorf("%d faults: the one that stays has %d lines:\n%s", faults, lines, log)
		}
	}
}

// A link is waited for only while it may answer: not behind one that rests.
func TestLinkBehindOneThatRestsIsNotWaitedFor(t *testing.T) {
	c, links, _, _ := chainOf()
	links[0].Report(&Fault{Code: "asleep", What: "it is night", Err: ErrResting})
	links[1].Report(nil)
	if got := c.Sentence(); !strings.HasPrefix(got, "ok, inverter resting") {
		t.Errorf("nothing to deliver at night: %s", got)
	}
	links[0].Report(nil)
	if got := c.Sentence(); !strings.HasPrefix(got, "waiting for the first answer of vps") {
		t.Errorf("by day: %s", got)
	}
}

func TestTimeInBrokenIsAddedUp(t *testing.T) {
	_, links, clock, log := chainOf()
	links[0].Report(errors.New("timeout"))
	*clock = clock.Add(90 * time.Second)
	links[0].Report(nil)
	if !strings.Contains(log.String(), "broken_s=90") || !strings.Contains(log.String(), "was=timeout") {
		t.Error(log)
	}
}

func TestBrokenLinkIsNamedBeforeOneThatWaits(t *testing.T) {
	c, links, _, _ := chainOf()
	links[2].Report(errors.New("network is unreachable"))
	if got := c.Sentence(); !strings.HasPrefix(got, "vps broken") {
		t.Error(got)
	}
	links[2].Report(&Fault{Code: "asleep", What: "it is night", Err: ErrResting})
	if got := c.Sentence(); !strings.HasPrefix(got, "waiting for the first answer of inverter") {
		t.Error(got)
	}
}

func TestBoundLetsEachKindPass(t *testing.T) {
	var b Bound
	now := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	passed := map[string]int{}
	for range 24 * 60 {
		for _, kind := range []string{"a", "b"} {
			if b.Allow(now, kind) {
				passed[kind]++
			}
		}
		now = now.Add(time.Minute)
	}
	if passed["a"] != passed["b"] || passed["a"] < 24 || passed["a"] > 30 {
		t.Errorf("in a day %v", passed)
	}
	if !b.Allow(now, "c") {
		t.Error("a new kind does not pass")
	}
	for b.Allow(now, "a") { // until nothing is left
	}
	now = now.Add(-48 * time.Hour)
	if b.Allow(now, "a") {
		t.Error("a clock that is set back lets it pass")
	}
}
