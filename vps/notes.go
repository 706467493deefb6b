package vps

import (
	"errors"
	"sync"
	"time"

	"sunspool/wire"
)

// notes are what each edge said of itself last. They are kept in memory only: the next batch says it again.
type notes struct {
	mu sync.Mutex
	of map[string]note // by device; as many as there are devices in the tokens
}

type note struct {
	edge wire.Edge
	zone string    // as sent last, known or not
	seen time.Time // of the last batch
}

// update remembers what a batch of device said, and reports whether it named a zone other than the one before.
func (n *notes) update(device, zone string, edge *wire.Edge, now time.Time) (newZone bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string]note{}
	}
	known := n.of[device]
	known.seen = now
	if edge != nil {
		known.edge = *edge
	}
	if newZone = zone != "" && zone != known.zone; newZone {
		known.zone = zone
	}
	n.of[device] = known
	return newZone
}

func (n *notes) get(device string) note {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[device]
}

func (n *notes) forgetZone(device string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.of[device]
	known.zone = ""
	n.of[device] = known
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
