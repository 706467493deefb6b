package deviceinfo

import (
	"context"
	"slices"
	"sync"
	"time"

	"sunspool/vps/batch"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	saveEvery = 5 * time.Minute  // at most, what changes with each batch is written to the store
	infoFresh = 10 * time.Second // after that another process may have received something newer
)

// infos has what each edge last reported of itself to this process. The store has it too: other processes read it there,
// and this one after a restart.
type infos struct {
	mu sync.Mutex
	of map[string]*deviceInfo // by device; as many as there are devices in the tokens and in the store
}

type deviceInfo struct {
	store.About
	known   time.Time   // when this was read or received, by our clock
	saved   store.About // what the store has, as far as is known
	skews   skews       // of what this process received
	badZone string      // named last although it does not exist
}

// get returns what is known of device, and whether it is fresh.
func (n *infos) get(device string, now time.Time) (about store.About, fresh bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.of[device]
	if known == nil {
		return about, false
	}
	return known.About, !known.known.IsZero() && now.Sub(known.known) < infoFresh
}

func (n *infos) known(device string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[device] != nil && !n.of[device].known.IsZero()
}

// loaded records what the store has, unless something newer was received. Zones are those of the store even then: another
// process may have received them.
func (n *infos) loaded(device string, about store.About, now time.Time) store.About {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.info(device)
	known.takeZones(about)
	known.known, known.saved = now, about
	if !known.Seen.After(about.Seen) {
		known.About = about
	}
	return known.About
}

// zones records the zones that the store has of device.
func (n *infos) zones(device string, stored store.About) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.info(device).takeZones(stored)
}

// takeZones records the zones that are stored, unless this process received one that is not stored yet.
func (n *deviceInfo) takeZones(stored store.About) {
	if n.SameZones(n.saved) {
		n.Zone, n.Earlier = stored.Zone, stored.Earlier
		n.saved.Zone, n.saved.Earlier = stored.Zone, stored.Earlier
	}
}

// update records what came with a batch of device that arrived then, and reports whether the store is to be written now.
func (n *infos) update(device string, change ZoneChange, edge *wire.Edge, arrived, now time.Time) (save bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.info(device)
	known.known, known.Seen = now, now
	if edge != nil {
		known.skews = known.skews.add(edge.Time, arrived)
		known.SkewS = known.skews.seconds()
		known.Edge = new(*edge)
		known.Edge.Time = time.Time{} // what is known of it is the skew
	}
	if change.zone != "" && change.zone != known.Zone {
		known.About = known.Rezoned(change.zone, change.from)
	}
	return known.dirty(now)
}

// badZone records the zone that was named last if it does not exist, "" if it does, and reports whether it is another one
// than before.
func (n *infos) badZone(device, zone string) (new bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.info(device)
	new = known.badZone != zone
	known.badZone = zone
	return new
}

func (n *infos) markSaved(device string, about store.About) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.info(device).saved = about
}

func (n *infos) info(device string) *deviceInfo {
	if n.of == nil {
		n.of = map[string]*deviceInfo{}
	}
	if n.of[device] == nil {
		n.of[device] = &deviceInfo{}
	}
	return n.of[device]
}

// dirty reports whether the store is to be written: at once for a change, and every saveEvery for what always changes.
func (n *deviceInfo) dirty(now time.Time) bool {
	if !n.SameZones(n.saved) || now.Sub(n.saved.Seen) >= saveEvery {
		return true
	}
	if n.Edge == nil || n.saved.Edge == nil {
		return n.Edge != n.saved.Edge
	}
	changing := *n.Edge
	changing.SpoolCount = n.saved.Edge.SpoolCount
	return changing != *n.saved.Edge
}

// Update keeps what an edge reported of itself. The samples are stored by now: an error here is logged, not answered.
func (d *Devices) Update(c *request.Request, b batch.Batch, change ZoneChange) {
	device := c.Caller.Device
	if b.Sent == 0 && b.Zone == "" && b.Edge == nil {
		return
	}
	if err := d.ensureLoaded(c, device); err != nil {
		d.Log.Warn("what is known of the edge could not be read", "device", device, "error", err.Error())
		return // a part of it must not replace the whole; the next batch tries again
	}
	if !d.infos.update(device, change, b.Edge, c.Began, d.Now()) {
		return
	}
	if err := d.save(c, device, change.zone == ""); err != nil { // the next batch tries again
		d.Log.Warn("what the edge said of itself was not stored", "device", device, "error", err.Error())
	}
}

// save writes what is known of device to the store. With look it first reads the zones there, so that it does not
// overwrite those that another process was sent.
func (d *Devices) save(c *request.Request, device string, look bool) error {
	if look {
		stored, err := d.aboutStored(c, device)
		if err != nil {
			return err
		}
		d.infos.zones(device, stored)
	}
	about, _ := d.infos.get(device, d.Now())
	_, err := request.Ask(d.Gate, c, "describe", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, d.Store.Describe(ctx, device, about)
	})
	if err == nil {
		d.infos.markSaved(device, about)
	}
	return err
}

// ensureLoaded loads what the store has about device, of whatever age, unless that was done.
func (d *Devices) ensureLoaded(c *request.Request, device string) error {
	if d.infos.known(device) {
		return nil
	}
	_, err := d.About(c, device)
	return err
}

// About returns what is known of a device beside its samples.
func (d *Devices) About(c *request.Request, device string) (store.About, error) {
	if about, fresh := d.infos.get(device, d.Now()); fresh {
		return about, nil
	}
	return d.load(c, device)
}

// load reads what the store has about a device beside its samples.
func (d *Devices) load(c *request.Request, device string) (store.About, error) {
	about, err := d.aboutStored(c, device)
	if err != nil {
		return about, err
	}
	if about.IsZero() && !slices.Contains(d.Tokens.Devices(), device) {
		return about, nil // readers may ask for any name: one of no device is not kept in memory
	}
	return d.infos.loaded(device, about, d.Now()), nil
}

func (d *Devices) aboutStored(c *request.Request, device string) (store.About, error) {
	return request.Ask(d.Gate, c, "about", func(ctx context.Context) (store.About, error) { return d.Store.About(ctx, device) })
}
