package simulator

import "time"

// Audit is how a client behaved, measured at the dongle's end, whichever units it asks: a dongle bears one client that is
// slow.
type Audit struct {
	Connects    int
	Open        int // connections now
	MaxOpen     int // connections at one time, for longer than it takes to notice that one was closed
	Requests    int
	Polls       int
	ConnectGap  Gap // from a connection to the next
	RequestGap  Gap // from the end of an answer to the next request, whoever asks
	PollGap     Gap // from the start of a poll to the next; a read repeated after an exception or after zeros starts none
	LastRequest time.Time
}

// Gap is the smallest of a number of pauses. Without any it is the zero Gap.
type Gap struct {
	Least time.Duration
	Count int
}

func (g *Gap) add(from, to time.Time) {
	if from.IsZero() {
		return
	}
	if d := to.Sub(from); g.Count == 0 || d < g.Least {
		g.Least = d
	}
	g.Count++
}

// Request is one line of the trace. A frame that is no read has Function but neither Start nor Count.
type Request struct {
	At           time.Time
	Connection   int // 1 is the first
	Unit         byte
	Function     byte
	Start, Count uint16
	Exception    int    // code of the answer; -1 when registers were answered
	Faults       string // that struck it
	zeros        bool   // nothing but zeros was answered
}

// traced is how many requests are remembered.
const traced = 4096

// watch keeps Audit and trace. Server.mu guards it.
type watch struct {
	audit     Audit
	trace     []Request // a ring once it is full
	opened    map[int]time.Time
	connected time.Time // the last one
	replied   time.Time
	polled    time.Time
}

func (w *watch) connect(now time.Time) int {
	a := &w.audit
	a.ConnectGap.add(w.connected, now)
	w.connected = now
	a.Connects++
	a.Open++
	if w.opened == nil {
		w.opened = make(map[int]time.Time)
	}
	w.opened[a.Connects] = now
	return a.Connects
}

func (w *watch) disconnect(connection int, now time.Time) {
	w.count(now)
	delete(w.opened, connection)
	w.audit.Open--
}

// count counts the connections. A goodbye may be noticed after the next hello, so one that is very young does not count
// yet: it will when something happens later, or when somebody asks.
func (w *watch) count(now time.Time) {
	open := 0
	for _, since := range w.opened {
		if now.Sub(since) > 10*time.Millisecond {
			open++
		}
	}
	w.audit.MaxOpen = max(w.audit.MaxOpen, open)
}

func (w *watch) request(r Request, pollStart uint16) {
	a := &w.audit
	w.count(r.At)
	if !w.replied.After(r.At) { // else it came before the answer to another, and waited
		a.RequestGap.add(w.replied, r.At)
	}
	w.replied = time.Time{}
	a.LastRequest = r.At
	if r.Function == readInput && r.Start == pollStart && !w.repeats(r) {
		a.PollGap.add(w.polled, r.At)
		w.polled = r.At
		a.Polls++
	}
	if len(w.trace) < traced {
		w.trace = append(w.trace, r)
	} else {
		w.trace[a.Requests%traced] = r
	}
	a.Requests++
}

// repeats reports whether r tries again what was just answered with an exception, or with zeros only.
func (w *watch) repeats(r Request) bool {
	if w.audit.Requests == 0 {
		return false
	}
	last := w.trace[(w.audit.Requests-1)%traced]
	return last.Connection == r.Connection && last.Unit == r.Unit && last.Function == r.Function && last.Start == r.Start && (last.Exception >= 0 || last.zeros)
}

// requests returns the trace, oldest first.
func (w *watch) requests() []Request {
	if len(w.trace) < traced {
		return append([]Request(nil), w.trace...)
	}
	oldest := w.audit.Requests % traced
	return append(append([]Request(nil), w.trace[oldest:]...), w.trace[:oldest]...)
}
