package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"

	"sunspool/vps/listener"
	"sunspool/vps/live"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	comeBack   = 3 * time.Second  // that a reader waits before it comes again
	pingEvery  = 15 * time.Second // while nothing else is sent
	todayEvery = time.Minute      // at most
	findEvery  = time.Minute      // what other processes stored and could not publish
	writeLimit = 10 * time.Second // for the reader to take what is written
)

// stream answers GET /v1/stream: server-sent events about one device or site, for as long as the reader stays.
//
//	hello   once: the program, its clock, the device or site
//	sample  each one that is newer than all before, in ascending order; its id is its time in ms
//	late    one that was stored now, of the last ten minutes, and is not newer; it has no id
//	site    what /v1/realtime has of a site, when it is another; it has no id
//	today   energy since local midnight: at most once a minute, and when a day begins
//	state   when it changes: live, delayed, stale, offline, never
//	bye     before this side ends it, with the reason
//
// A reader that comes back with the id of the last sample that it has gets all of the last ten minutes: what is newer as
// sample, and the rest as late, because it is not known which of those were stored since. So a sample may come again on
// another connection, on the same one never. A reader without an id gets the newest. A stream has a slot of the reads
// only until it has begun.
func (s *Server) stream(c *request.Request) (any, error) {
	_, device, site, err := s.Asked(c)
	if err != nil {
		return nil, err
	}
	devices := []string{device}
	if site != nil {
		devices = site.IDs()
	}
	sub := s.live.Subscribe(c.Token, devices...) // first: what comes while the store is read is published here too, and sent once
	defer s.live.Unsubscribe(sub)
	out := &connection{s: s, c: c, conn: http.NewResponseController(c)}
	var about subject = &events{connection: out, device: device}
	if site != nil {
		about = &siteEvents{connection: out, site: site, sub: sub}
	}
	fmt.Fprintf(&out.ready, "retry: %d\n", comeBack.Milliseconds())
	if err := about.begin(c.HTTP.Header.Get("Last-Event-ID")); err != nil {
		return nil, err
	}
	c.Release()

	h := c.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy that waits for more would hold each event back
	c.WriteHeader(http.StatusOK)
	if c.HTTP.Method == http.MethodHead {
		return nil, nil
	}
	_, _ = io.CopyN(io.Discard, c.HTTP.Body, 4<<10) // net/http notices that a reader hangs up only once its body is read
	out.run(sub, about)
	return nil, nil
}

// subject is what a stream is about: a device, or a site. Each method makes events ready.
type subject interface {
	begin(lastID string) error        // what a new reader gets at once, whose last event was lastID
	stored(samples []wire.Sample)     // after these were stored
	due() <-chan time.Time            // when look is to be called; nil for not yet
	look(pinged bool) (reason string) // then, and when nothing may have come for a while, pinged; why the stream is to end, else ""
}

// connection is the writing side of one stream.
type connection struct {
	s     *Server
	c     *request.Request
	conn  *http.ResponseController
	ready bytes.Buffer // to be written
}

// events are those of a stream about a device.
type events struct {
	*connection
	device string

	last   time.Time    // of the newest sample that the reader has; zero for none
	sent   []int64      // times of samples of the last ten minutes that are not to be sent again, ms, ascending
	looked time.Time    // for those, in the store
	newest *wire.Sample // the newest that there is; nil for none
	state  string       // as sent last
	today  todaySent
}

// todaySent is the energy of today that a reader has.
type todaySent struct {
	date     string
	sent     time.Time
	outdated bool // there are newer samples
}

// due reports whether the reader is to get that of date at the time now.
func (t *todaySent) due(date string, now time.Time) bool {
	return date != t.date || t.outdated && now.Sub(t.sent) >= todayEvery
}

func (e *events) begin(lastID string) error {
	about, err := e.s.About(e.c, e.device)
	if err != nil {
		return err
	}
	missed, err := e.missed(lastID)
	if err != nil {
		return err
	}
	e.add("hello", greeting(e, about))
	e.samples(missed)
	return e.follow()
}

// run writes events until either side ends the stream.
func (e *connection) run(sub *live.Subscription, about subject) {
	ticks := time.NewTicker(pingEvery)
	defer ticks.Stop()
	replaced := e.s.Tokens.Replaced()
	if !e.s.StillAllowed(e.c) { // it was replaced since the request came
		e.bye("token_revoked")
		return
	}
	for e.write() == nil {
		e.c.StoreSince = time.Time{} // each round has its own time with the store
		reason := ""
		select {
		case <-e.c.HTTP.Context().Done():
			return
		case <-listener.Stopping(e.c.HTTP.Context()):
			reason = "stopping"
		case <-sub.Closed:
			reason = "too_many_streams"
		case <-sub.Ready:
			about.stored(e.s.live.Take(sub))
		case <-about.due():
			reason = about.look(false)
		case <-replaced:
			if replaced = e.s.Tokens.Replaced(); !e.s.StillAllowed(e.c) {
				reason = "token_revoked"
			}
		case <-ticks.C:
			if !e.s.StillAllowed(e.c) { // a session ends without a signal
				reason = "token_revoked"
				break
			}
			if reason = about.look(true); e.ready.Len() == 0 {
				e.ready.WriteString(": ping\n\n")
			}
		}
		if reason != "" {
			e.bye(reason)
			return
		}
	}
}

func (e *events) stored(all []wire.Sample) {
	e.samples(all)
	_ = e.follow() // the store's trouble is not the reader's: the next tick tries again
}

func (e *events) due() <-chan time.Time { return nil }

// look finds samples in the store that another process stored and could not publish, so that a device is not called silent
// for that.
func (e *events) look(bool) (reason string) {
	if now := e.s.Now(); now.Sub(e.last) >= pingEvery || now.Sub(e.looked) >= findEvery {
		if recent, err := e.recent(); err == nil {
			e.samples(recent)
		}
	}
	_ = e.follow()
	return ""
}

// follow adds what follows from the samples and from the clock: the energy of today, and the state if it is another.
func (e *events) follow() error {
	now := e.s.Now()
	zone, err := e.s.ZoneOf(e.c, e.device)
	if err != nil {
		return err
	}
	if date := dayOf(now, zone).From.Format(time.DateOnly); e.today.due(date, now) {
		energies, err := e.s.today(e.c, e.device, now, zone, nil)
		if err != nil {
			return err
		}
		e.today = todaySent{date: date, sent: now}
		e.add("today", energies)
	}

	about, err := e.s.About(e.c, e.device)
	if err != nil {
		return err
	}
	state, since := e.stateSince(now, about.Edge)
	if state != e.state {
		e.state = state
		e.add("state", stateEvent{state, since})
	}
	return nil
}

// stateSince returns the state of the device by its newest sample, and since when it is in it.
func (e *events) stateSince(now time.Time, edge *wire.Edge) (state string, since *time.Time) {
	if e.newest == nil {
		return "never", nil
	}
	state, held := e.s.StateOf(e.c, e.device, e.newest, max(now.Sub(e.newest.Time), 0), edge)
	return state, new(now.Add(-held).UTC().Truncate(time.Millisecond))
}

func (e *connection) bye(reason string) {
	e.add("bye", map[string]string{"reason": reason})
	_ = e.write()
}

// add makes an event ready.
func (e *connection) add(name string, v any) {
	fmt.Fprintf(&e.ready, "event: %s\ndata: %s\n\n", name, request.ToJSON(v))
}

// write sends what is ready, with a new deadline for the reader each time: a stream has no end to be written by, as other
// answers have.
func (e *connection) write() error {
	_ = e.conn.SetWriteDeadline(time.Now().Add(writeLimit))
	_, err := e.c.Write(e.ready.Bytes())
	e.ready.Reset()
	if err != nil {
		return err
	}
	return e.conn.Flush()
}

type helloEvent struct {
	Build     string       `json:"build"`
	Time      time.Time    `json:"time"`
	Device    *helloDevice `json:"device,omitempty"` // or the site
	Site      *helloSite   `json:"site,omitempty"`
	BackfillS float64      `json:"backfill_s"` // how far back samples that were missed are sent
}

type helloDevice struct {
	ID            string  `json:"id"`
	Model         string  `json:"model,omitempty"`
	Zone          string  `json:"time_zone,omitempty"`
	PollIntervalS float64 `json:"poll_interval_s,omitempty"`
}

// hello is what every stream begins with.
func (e *connection) hello() helloEvent {
	return helloEvent{Build: e.s.Version, Time: e.s.Now().UTC().Truncate(time.Millisecond)}
}

func greeting(e *events, about store.About) helloEvent {
	h := e.hello()
	h.BackfillS, h.Device = live.Window.Seconds(), &helloDevice{ID: e.device, Zone: about.Zone}
	if e.s.Zone != nil {
		h.Device.Zone = e.s.Zone.String()
	}
	if edge := about.Edge; edge != nil {
		h.Device.Model, h.Device.PollIntervalS = edge.Model, edge.PollIntervalS
	}
	return h
}

// sampleEvent is what a screen shows of a sample. What the inverter cannot measure is null.
type sampleEvent struct {
	Time     float64  `json:"t"` // seconds since 1970
	PVW      float64  `json:"pv_w"`
	LoadW    *float64 `json:"load_w"`
	BatteryW *float64 `json:"battery_w"` // > 0 charging
	GridW    *float64 `json:"grid_w"`    // > 0 from the grid
	SOCPct   *float64 `json:"soc_pct"`
	Flows    flows    `json:"flows"`
}

func powersOf(s *wire.Sample) sampleEvent {
	e := sampleEvent{Time: float64(s.Time.UnixMilli()) / 1000, PVW: s.PVPowerW, LoadW: s.LoadPowerW, BatteryW: s.BatteryPowerW,
		SOCPct: s.BatterySOCPct, Flows: flowsOf(s)}
	if s.ExportPowerW != nil {
		e.GridW = new(0 - *s.ExportPowerW)
	}
	return e
}

type stateEvent struct {
	State string     `json:"state"`
	Since *time.Time `json:"since"` // null when there never was a sample
}
