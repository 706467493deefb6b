package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/registers"
	"sunspool/edge/spool"
	"sunspool/wire"
)

// The clocks of the schedules: a machine that does not know the time, and a testimony of those who do.

// word is what the kernel of a machine says of its clock.
type word string

const (
	synced   word = "synced" // a time server keeps it, and time servers are honest: then it is right
	unsynced word = "unsynced"
	silent   word = "silent" // the kernel cannot be asked
)

// machine is what the edge runs on where its clock is not believed. While nobody keeps the clock it may say anything.
type machine struct {
	mu     sync.Mutex
	boots  int
	began  time.Time // this boot
	says   word
	set    time.Time     // when the clock was last changed
	offset time.Duration // of the clock, then
	drift  float64       // of the clock, since
}

func (m *machine) host() *clock.Host {
	m.mu.Lock()
	defer m.mu.Unlock()
	began := m.began
	return &clock.Host{
		Wall: func() time.Time {
			m.mu.Lock()
			defer m.mu.Unlock()
			return time.Now().Add(m.offset + time.Duration(m.drift*float64(time.Since(m.set))))
		},
		Up: func() time.Duration { return time.Since(began) },
		Synced: func() (bool, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.says == silent {
				return false, errors.New("not here")
			}
			return m.says == synced, nil
		},
		BootID: fmt.Sprint("boot ", m.boots),
	}
}

// turn sets the clock. One that a time server keeps is right but for what the kernel still slews.
func (m *machine) turn(says word, offset time.Duration, drift float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.says, m.set, m.offset, m.drift = says, time.Now(), offset, drift
}

func (m *machine) sync(dice *rand.Rand) { m.turn(synced, slewed(dice), 0) }

func slewed(dice *rand.Rand) time.Duration {
	return time.Duration(dice.Int64N(int64(40*time.Millisecond))) - 20*time.Millisecond
}

const year = 365 * 24 * time.Hour

// wrong is how far a clock may be off that nobody keeps.
func wrong(dice *rand.Rand) time.Duration {
	return []time.Duration{0, 10 * time.Minute, -10 * time.Minute, year, -year, 3 * time.Second, -3 * time.Second, 40 * time.Second}[dice.IntN(8)]
}

// reboot starts the machine anew: what its clock says now is right at once, after a while, or not before the next boot.
func (m *machine) reboot(dice *rand.Rand) string {
	m.mu.Lock()
	m.boots++
	m.began = time.Now()
	boot := m.boots
	m.mu.Unlock()
	if dice.IntN(4) == 0 {
		m.sync(dice)
		return "synced"
	}
	says := []word{unsynced, unsynced, unsynced, silent}[dice.IntN(4)]
	off := wrong(dice)
	m.turn(says, off, 0)
	if dice.IntN(3) == 0 {
		return fmt.Sprintf("%s and %v off", says, off)
	}
	after := time.Duration(dice.Int64N(int64(30 * time.Minute)))
	time.AfterFunc(after, func() {
		m.mu.Lock()
		same := m.boots == boot
		m.mu.Unlock()
		if same {
			m.sync(dice)
		}
	})
	return fmt.Sprintf("%s and %v off for %v", says, off, after.Round(time.Second))
}

// spoilClock takes the time server away and lets the clock step or drift; it may stay away for good.
func (w *world) spoilClock(dice *rand.Rand) (string, func()) {
	says := []word{unsynced, unsynced, silent}[dice.IntN(3)]
	off, drift := wrong(dice), []float64{0, 0, 0.01, -0.01}[dice.IntN(4)]
	w.machine.turn(says, off, drift)
	back := dice.IntN(4) > 0
	return fmt.Sprintf("%s, %v off, drifts %v", says, off, drift), func() {
		if back {
			w.machine.sync(dice)
		}
	}
}

// testimony is when each sample was really made. The edge logs the words of each poll; an instant at which an answer of
// the dongle came is the time of the poll; and the samples become durable in the order of the polls, with the values of
// the words. So none of it goes through a clock of the edge.
type testimony struct {
	answers  []time.Time // of the poll that goes on
	polls    []poll      // that may still become samples
	sources  map[int][]string
	evidence []poll // one for each sample that was made
	arrived  arrivals

	redated, estimated int // samples that were made with a time that was wrong, and of boots whose time nobody ever told
}

// poll is what the witness knows of one.
type poll struct {
	words   registers.Words
	answers []time.Time
	boot    int
	sources int // that had set the clock of the boot before
}

// watch makes w a witness of the edge.
func (w *world) watch() {
	w.sources, w.arrived = make(map[int][]string), make(arrivals)
	w.bed.log, w.rawEach = slog.New(&edgeLog{w: w}), 1
	w.tap = func(c net.Conn) net.Conn { return &tapped{c, w} }
	w.kept = w.attest
}

// tapped is the wire to the dongle.
type tapped struct {
	net.Conn
	w *world
}

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.w.lock.Lock()
		defer c.w.lock.Unlock()
		c.w.answers = append(c.w.answers, time.Now())
	}
	return n, err
}

// edgeLog reads the log of the edge.
type edgeLog struct {
	w    *world
	with []slog.Attr
}

func (l *edgeLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *edgeLog) WithGroup(string) slog.Handler                    { return l }
func (l *edgeLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &edgeLog{l.w, slices.Concat(l.with, attrs)}
}

func (l *edgeLog) Handle(_ context.Context, r slog.Record) error {
	w := l.w
	boot := 0
	if w.machine != nil {
		w.machine.mu.Lock()
		boot = w.machine.boots
		w.machine.mu.Unlock()
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	switch r.Message {
	case "raw words":
		r.Attrs(func(a slog.Attr) bool {
			if words, ok := a.Value.Any().(registers.Words); ok {
				w.polls = append(w.polls, poll{words, w.answers, boot, len(w.sources[boot])})
				w.answers = nil
			}
			return true
		})
	case "clock set", "clock stepped":
		for _, a := range l.with {
			if a.Key == "by" {
				w.sources[boot] = append(w.sources[boot], a.Value.String())
			}
		}
	}
	return nil
}

// forget is for an edge that crashed: what it read and did not make durable is gone.
func (w *world) forget() {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.polls, w.answers = nil, nil
}

// attest finds the poll that became s: of those before it that did not, none ever will. Polls of a frozen dongle look
// alike and not all of them become samples: then s may be any of them.
func (w *world) attest(s wire.Sample) {
	w.lock.Lock()
	defer w.lock.Unlock()
	i := slices.IndexFunc(w.polls, func(p poll) bool { return p.made(s) })
	if i < 0 {
		w.evidence = append(w.evidence, poll{})
		return
	}
	source := w.polls[i]
	w.polls = w.polls[i+1:]
	for _, p := range w.polls {
		if p.made(s) {
			source.answers = slices.Concat(source.answers, p.answers)
		}
	}
	w.evidence = append(w.evidence, source)
}

// made reports whether s has the values of the words. Those of the identity are in no log.
func (p poll) made(s wire.Sample) bool {
	same := 0
	for name, v := range s.Values {
		reg, ok := registers.Hybrid().Lookup(name)
		if !ok {
			reg, _ = registers.String().Lookup(name)
		}
		got, err := reg.Decode(p.words)
		switch {
		case reg.Block == registers.Identity || reg.Kind != registers.Input:
		case err != nil || got != v:
			return false
		default:
			same++
		}
	}
	return same > 0
}

// certain reports whether all that ever gave p a time is a time server.
func (p poll) certain(sources []string) bool {
	sources = sources[max(p.sources-1, 0):]
	return len(sources) > 0 && !slices.ContainsFunc(sources, func(s string) bool { return s != spool.Synced.String() })
}

// arrivals are the samples that the store took, by their time.
type arrivals map[int64]wire.Sample

func (a arrivals) add(samples []wire.Sample) {
	for _, s := range samples {
		if _, ok := a[s.Time.UnixMilli()]; !ok {
			a[s.Time.UnixMilli()] = s
		}
	}
}

const (
	right   = time.Millisecond - 1   // by a clock that is always right: times are cut to ms
	exact   = 101 * time.Millisecond // by the kernel: its slewing, the 50 ms by which an anchor may be off, and the ms that times are cut to
	vague   = 8 * time.Second        // by our server: whole seconds, a proxy, and half of 10 s for the answer
	moved   = 2 * time.Second        // by which a sample may be moved after the one before it, so that time only grows
	perhaps = 2 * vague              // between two that our server dated
)

// dating holds the times that arrived against what the witness knows, and gives the samples in made those times. Each
// sample must have arrived, once, with its values. Dated by a time server it has the time of the poll, dated by our own
// server nearly, and with a time that is only estimated it lies between the samples before and after it.
func (w *world) dating() (problems []string) {
	say := func(format string, args ...any) {
		if len(problems) < 10 {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	byValues := make(map[string][]wire.Sample)
	values := func(s wire.Sample) string {
		s.Time, s.DeviceID, s.Interval = time.UnixMilli(0), "", 0
		return string(s.AppendPacked(nil))
	}
	for _, s := range w.arrived {
		byValues[values(s)] = append(byValues[values(s)], s)
	}
	for _, same := range byValues {
		slices.SortFunc(same, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	}
	var last time.Time
	sure := false // of last
	for i, s := range w.made {
		p := w.evidence[i]
		same := byValues[values(s)]
		if len(same) == 0 || len(p.answers) == 0 {
			say("sample %d of %v did not arrive, or was made of nothing that the dongle said (%d)", i, s.Time, len(p.answers))
			continue
		}
		at := same[0].Time
		byValues[values(s)] = same[1:]
		certain := w.machine == nil || p.certain(w.sources[p.boot])
		off, limit := p.off(at), exact
		if w.machine == nil {
			limit = right
		}
		switch {
		case w.machine == nil && !at.Equal(s.Time):
			say("sample %d was made at %v and arrived as of %v", i, s.Time, at)
		case certain && off.Abs() > limit && !(off > 0 && off < moved && at.Sub(last) < 5*time.Millisecond):
			say("sample %d, which a time server dated, is %v off: %v", i, off, at)
		case !certain && len(w.sources[p.boot]) > 0 && off.Abs() > vague:
			say("sample %d, which our server dated, is %v off: %v", i, off, at)
		}
		if back := last.Sub(at); back > 0 && (certain && sure || back > perhaps) {
			say("sample %d of %v is older than the one before it by %v", i, at, back)
		}
		last, sure = at, certain
		if !at.Equal(s.Time) {
			w.redated++
		}
		if !certain && len(w.sources[p.boot]) == 0 {
			w.estimated++
		}
		w.made[i].Time = at
	}
	extra := 0
	for _, same := range byValues {
		extra += len(same)
	}
	if extra > 0 {
		say("%d samples arrived that were not made", extra)
	}
	return problems
}

// off is how far t is from the nearest instant that can be that of the poll.
func (p poll) off(t time.Time) time.Duration {
	nearest := t.Sub(p.answers[0])
	for _, a := range p.answers {
		if off := t.Sub(a); off.Abs() < nearest.Abs() {
			nearest = off
		}
	}
	return nearest
}
