package vps

import (
	"context"
	"errors"
	"sync"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	noteEvery = 5 * time.Minute  // at most, what changes with each batch is written to the store
	noteHolds = 10 * time.Second // before another process may have heard something newer
)

// notes are what each edge said of itself last, as far as this process knows. The store has them too: other processes
// read them there, and this one after a restart.
type notes struct {
	mu sync.Mutex
	of map[string]*note // by device; as many as there are devices in the tokens
}

type note struct {
	store.About
	known   time.Time   // when this was read or heard, by our clock
	saved   store.About // what the store has, as far as is known
	badZone string      // named last although it does not exist
}

// get returns what is known of device, and whether it is fresh.
func (n *notes) get(device string, now time.Time) (about store.About, fresh bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.of[device]
	if known == nil {
		return about, false
	}
	return known.About, now.Sub(known.known) < noteHolds
}

func (n *notes) known(device string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[device] != nil
}

// loaded takes what the store has, unless something newer was heard.
func (n *notes) loaded(device string, about store.About, now time.Time) store.About {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.note(device)
	known.known, known.saved = now, about
	if !known.Seen.After(about.Seen) {
		known.About = about
	}
	return known.About
}

// heard takes what a batch of device said, and returns what is now to be written to the store, if anything is.
func (n *notes) heard(device, zone string, edge *wire.Edge, now time.Time) (about store.About, save bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.note(device)
	known.known, known.Seen = now, now
	if edge != nil {
		known.Edge = new(*edge)
	}
	if zone != "" {
		known.Zone, known.badZone = zone, ""
	}
	return known.About, known.news(now)
}

// badZone remembers a zone that does not exist, and reports whether it is another one than before.
func (n *notes) badZone(device, zone string) (new bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.note(device)
	new = known.badZone != zone
	known.badZone = zone
	return new
}

func (n *notes) wrote(device string, about store.About) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.note(device).saved = about
}

func (n *notes) note(device string) *note {
	if n.of == nil {
		n.of = map[string]*note{}
	}
	if n.of[device] == nil {
		n.of[device] = &note{}
	}
	return n.of[device]
}

// news reports whether the store should hear of it: of a change at once, of what always changes now and then.
func (n *note) news(now time.Time) bool {
	if n.Zone != n.saved.Zone || now.Sub(n.saved.Seen) >= noteEvery {
		return true
	}
	if n.Edge == nil || n.saved.Edge == nil {
		return n.Edge != n.saved.Edge
	}
	changing := *n.Edge
	changing.SpoolCount = n.saved.Edge.SpoolCount
	return changing != *n.saved.Edge
}

// remember keeps what an edge said of itself. The samples are stored by now: trouble here is logged, not answered.
func (s *Server) remember(c *call, b batch) {
	device, zone := c.caller.device, b.zone
	if zone != "" {
		if _, err := s.zones.load(zone); err != nil {
			if s.notes.badZone(device, zone) {
				s.Log.Warn("edge sent an unknown time zone", "device", device, "tz", capped(zone))
			}
			zone = ""
		}
	}
	if b.sent == 0 && zone == "" && b.edge == nil {
		return
	}
	if err := s.acquaint(c, device); err != nil {
		s.Log.Warn("what is known of the edge could not be read", "device", device, "error", err.Error())
		return // a part of it must not replace the whole; the next batch tries again
	}
	about, save := s.notes.heard(device, zone, b.edge, s.Now())
	if !save {
		return
	}
	_, err := ask(s, c, "describe", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Store.Describe(ctx, device, about)
	})
	if err != nil { // the next batch tries again
		s.Log.Warn("what the edge said of itself was not stored", "device", device, "error", err.Error())
		return
	}
	s.notes.wrote(device, about)
}

// acquaint makes sure that this process knows what the store does about device, whatever its age.
func (s *Server) acquaint(c *call, device string) error {
	if s.notes.known(device) {
		return nil
	}
	_, err := s.about(c, device)
	return err
}

// about returns what is known of a device beside its samples.
func (s *Server) about(c *call, device string) (store.About, error) {
	about, fresh := s.notes.get(device, s.Now())
	if fresh {
		return about, nil
	}
	about, err := ask(s, c, "about", func(ctx context.Context) (store.About, error) { return s.Store.About(ctx, device) })
	if err != nil {
		return about, err
	}
	return s.notes.loaded(device, about, s.Now()), nil
}

// zoneOf returns where a device's days begin and end: the site's zone if the operator gave one, else the one that its
// edge named, else UTC.
func (s *Server) zoneOf(c *call, device string) (*time.Location, error) {
	if s.Zone != nil {
		return s.Zone, nil
	}
	about, err := s.about(c, device)
	if err != nil {
		return nil, err
	}
	if zone, err := s.zones.load(about.Zone); err == nil {
		return zone, nil
	}
	return time.UTC, nil
}

// zones keeps the time zones that were asked for: loading one reads a file. Only names that exist are kept.
type zones struct{ loaded sync.Map }

func (z *zones) load(name string) (*time.Location, error) {
	if zone, ok := z.loaded.Load(name); ok {
		return zone.(*time.Location), nil
	}
	if name == "" || name == "Local" { // Go's own names, which say nothing to a caller
		return nil, errors.New("not the name of a time zone")
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		z.loaded.Store(name, zone)
	}
	return zone, err
}
