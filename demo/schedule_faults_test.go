package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"sunspool/edge/simulator"
	"sunspool/edge/spool"
	"sunspool/vps/store"
	"sunspool/wire"
)

// world is a bed with a fate.
type world struct {
	*bed
	fate   fate
	began  time.Time
	strict bool // the server knows only the contract: all or nothing

	planted *bug

	lock     sync.Mutex // guards the rest, but for dead
	log      []string
	network  string // the fault that lies on it now, "" for none
	requests int    // so far
	instant  time.Time
	atOnce   int   // requests at that instant
	most     int   // of all instants
	inserts  int   // calls of the store so far
	resent   int   // samples that the store had already
	crashing bool  // the server dies in its next insert
	limit    int64 // of the spool, 0 for the usual one

	machine   *machine // that the edge runs on, nil for one whose clock is believed
	testimony          // what was really made, and when

	spool sync.Mutex // held while the limit is set

	server sync.Mutex // guards the server's life
	dead   bool
}

// gremlin is one kind of trouble: it comes, lasts, and goes, again and again until the end.
type gremlin struct {
	name        string
	quiet, last time.Duration // at most between two troubles, and for one
	strike      func(w *world, dice *rand.Rand) (what string, undo func())
}

var gremlins = []gremlin{
	{"network", 25 * time.Minute, 20 * time.Minute, (*world).spoilNetwork},
	{"server", 50 * time.Minute, 10 * time.Minute, (*world).spoilServer},
	{"edge", 40 * time.Minute, 3 * time.Minute, (*world).crash},
	{"inverter", 20 * time.Minute, 10 * time.Minute, (*world).spoilInverter},
	{"disk", 100 * time.Minute, 20 * time.Minute, (*world).fillDisk},
}

// clockGremlin strikes only where the edge runs on a machine.
var clockGremlin = gremlin{"clock", 40 * time.Minute, 40 * time.Minute, (*world).spoilClock}

// haunt lets g strike until end.
func (w *world) haunt(g gremlin, end time.Time) {
	for n := 0; ; n++ {
		dice := w.fate.dice(g.name, n)
		quiet, last := time.Duration(dice.Int64N(int64(g.quiet))), time.Duration(dice.Int64N(int64(g.last)))
		if dice.IntN(4) == 0 {
			last /= 20 // short ones fall into the middle of things
		}
		if time.Until(end) < quiet {
			return
		}
		time.Sleep(quiet)
		what, undo := g.strike(w, dice)
		w.trace("%s: %s for %v", g.name, what, last.Round(time.Second))
		time.Sleep(min(last, time.Until(end)))
		undo()
	}
}

func (w *world) trace(format string, args ...any) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.log = append(w.log, fmt.Sprintf("%8v  ", time.Since(w.began).Round(time.Second))+fmt.Sprintf(format, args...))
}

var networkFaults = []string{"cut", "flaky", "flaky", "portal page", "portal redirect", "wrong program", "boasting", "busy", "failing", "denied", "forbidden", "blocked", "refusing", "slow"}

func (w *world) spoilNetwork(dice *rand.Rand) (string, func()) {
	what := networkFaults[dice.IntN(len(networkFaults))]
	set := func(fault string) {
		w.lock.Lock()
		defer w.lock.Unlock()
		w.network = fault
	}
	set(what)
	return what, func() { set("") }
}

// spoilServer lets the server die in the next insert, before or after its commit, or stops it at once.
func (w *world) spoilServer(dice *rand.Rand) (string, func()) {
	what := "stop"
	if dice.IntN(3) > 0 {
		what = "crash in an insert"
		w.lock.Lock()
		w.crashing = true
		w.lock.Unlock()
	} else {
		w.killServer()
	}
	return what, func() {
		w.lock.Lock()
		w.crashing = false
		w.lock.Unlock()
		w.server.Lock()
		defer w.server.Unlock()
		if w.dead {
			w.startServer()
			w.dead = false
		}
	}
}

func (w *world) killServer() {
	w.server.Lock()
	defer w.server.Unlock()
	if !w.dead {
		w.stopServer()
		w.dead = true
	}
}

func (w *world) crash(dice *rand.Rand) (string, func()) {
	what := "crash"
	if dice.IntN(4) == 0 {
		what = "restart"
		w.stopEdge()
	} else {
		w.crashEdge()
	}
	if w.machine != nil && dice.IntN(3) == 0 {
		what += " and boot, " + w.machine.reboot(dice)
		w.host = w.machine.host()
	}
	return what, func() {
		w.forget()
		w.startEdge()
		w.applyLimit()
	}
}

// fillDisk leaves the spool less room than it needs, or hardly more.
func (w *world) fillDisk(dice *rand.Rand) (string, func()) {
	var used int64
	w.set(func() { used = w.edge.Spool.Capacity().Used })
	share := 0.6 + dice.Float64()/2
	set := func(limit int64) {
		w.lock.Lock()
		w.limit = limit
		w.lock.Unlock()
		w.applyLimit()
	}
	set(int64(float64(used)/share) + 1<<20)
	return fmt.Sprintf("%.0f %% full", share*100), func() { set(0) }
}

// applyLimit tells the edge that runs, if one does, how large its spool may be.
func (w *world) applyLimit() {
	w.spool.Lock()
	defer w.spool.Unlock()
	w.lock.Lock()
	limit := cmp.Or(w.limit, 1<<30)
	w.lock.Unlock()
	var spool *spool.Spool
	w.set(func() { spool = w.edge.Spool })
	if err := spool.SetLimit(limit); err != nil && !errors.Is(err, os.ErrClosed) {
		w.t.Error(err)
	}
}

var inverterFaults = []string{
	"off", "silent", "half", "stall", "reset", "slow=2s@0.2", "late=7s@0.1", "wrong-unit@0.1", "exception=4@0.3", "exception=6:12999-13100",
	"code0@0.2", "bad-length@0.1", "bad-count@0.1", "surplus@0.1", "second-client@0.3", "frozen", "silent@0.05", "half@0.05", "stall@0.05", "reset@0.05",
}

func (w *world) spoilInverter(dice *rand.Rand) (string, func()) {
	what := inverterFaults[dice.IntN(len(inverterFaults))]
	fault, err := simulator.ParseFault(what)
	if err != nil {
		panic(err)
	}
	w.inverter.SetFaults(fault)
	return what, func() { w.inverter.SetFaults() }
}

// spinning is more requests than any backlog here takes when none of them takes any time, in the small batches that
// follow requests which came to nothing.
const spinning = 1000

const portal = "portal.example.net"

// RoundTrip is the network with what lies on it.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.lock.Lock()
	w.requests++
	if w.instant != time.Now() {
		w.instant, w.atOnce = time.Now(), 0
	}
	w.atOnce++
	w.most = max(w.most, w.atOnce)
	spins := w.atOnce > spinning
	fault, dice := w.network, w.fate.dice("request", w.requests)
	w.lock.Unlock()
	if spins {
		if err := pause(r.Context(), time.Second); err != nil { // or this test would never end
			return nil, err
		}
	}
	if r.URL.Host == portal { // a program that says yes to everything
		return says(r, 200, "application/json", `{"inserted":0}`), nil
	}
	if w.strict {
		r = r.Clone(r.Context())
		r.Header.Del("Prefer")
	}
	answer := func() (*http.Response, error) {
		w.mu.Lock()
		api := w.api
		w.mu.Unlock()
		if api == nil {
			return nil, errNetwork
		}
		resp := carry(api, r)
		if w.dates {
			date(resp)
		}
		if err := r.Context().Err(); err != nil {
			return nil, err // nobody waits for it any more
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.api == nil { // it died while it answered
			return nil, io.ErrUnexpectedEOF
		}
		return resp, nil
	}
	switch fault {
	case "":
		return answer()
	case "cut":
		return nil, errNetwork
	case "portal page":
		return says(r, 200, "text/html", "<html>please log in</html>"), nil
	case "portal redirect":
		resp := says(r, []int{301, 302, 303, 307, 308}[dice.IntN(5)], "text/html", "")
		resp.Header.Set("Location", "https://"+portal+r.URL.Path)
		return resp, nil
	case "wrong program":
		return says(r, 200, "application/json", `{"status":"ok"}`), nil
	case "boasting":
		return says(r, 200, "application/json", `{"inserted":1000000}`), nil
	case "busy":
		resp := says(r, []int{429, 503}[dice.IntN(2)], "application/json", `{"detail":"busy"}`)
		resp.Header.Set("Retry-After", []string{"1", "30", "600", "-5", "soon", "99999999999999999999"}[dice.IntN(6)])
		return resp, nil
	case "failing":
		return says(r, []int{500, 502, 504, 404, 408, 405}[dice.IntN(6)], "text/html", "<html>bad gateway</html>"), nil
	case "denied":
		return says(r, 401, "application/json", `{"detail":"Invalid or expired token."}`), nil
	case "refusing":
		return says(r, 422, "application/json", `{"detail":[{"type":"missing","loc":["samples",0,"ts"],"msg":"Field required"}]}`), nil
	case "forbidden":
		return says(r, 403, "application/json", `{"detail":"Sample device ID does not match authenticated device."}`), nil
	case "blocked":
		return says(r, 403, "text/html", `<html>blocked</html>`), nil
	case "slow":
		if err := pause(r.Context(), time.Duration(dice.Int64N(int64(40*time.Second)))); err != nil {
			return nil, err
		}
		resp, err := answer()
		if late := pause(r.Context(), time.Duration(dice.Int64N(int64(10*time.Second)))); late != nil {
			return nil, late
		}
		return resp, err
	}
	switch dice.IntN(4) { // flaky
	case 0:
		return nil, errNetwork
	case 1: // the answer is lost
		answer()
		return nil, io.ErrUnexpectedEOF
	case 2: // the answer ends in the middle
		resp, err := answer()
		if err != nil {
			return nil, err
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(body[:dice.IntN(len(body)+1)])), broken{}))
		return resp, nil
	}
	return answer()
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func says(r *http.Request, status int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// before puts what may go wrong between the server and its store there.
func (w *world) before(disk store.Samples) store.Samples {
	var s store.Samples = &mortal{disk, w}
	if w.planted != nil && w.planted.store != nil {
		s = w.planted.store(w, s)
	}
	return s
}

// mortal is a store whose process may die just before or just after a commit.
type mortal struct {
	store.Samples
	w *world
}

var errDied = errors.New("the server died")

func (m *mortal) Insert(ctx context.Context, device string, samples []wire.Sample) (int, error) {
	w := m.w
	w.lock.Lock()
	w.inserts++
	dice := w.fate.dice("insert", w.inserts)
	dies := w.crashing
	w.crashing = false
	w.lock.Unlock()
	if dies && dice.IntN(2) == 0 {
		w.killServer()
		return 0, errDied
	}
	n, err := m.Samples.Insert(ctx, device, samples)
	w.lock.Lock()
	w.resent += len(samples) - n
	if err == nil {
		w.arrived.add(samples)
	}
	w.lock.Unlock()
	if err == nil && dies {
		w.killServer()
		return 0, errDied
	}
	return n, err
}
