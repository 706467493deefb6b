package deviceinfo

import (
	"context"
	"errors"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"sunspool/vps/batch"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// A device's zone applies from the first sample that came with it on; the days before that stay as they were. A span is cut
// into periods by the zone that applied where it begins. SITE_TZ is the zone of all times.

// ZoneOf returns where a device's days begin and end now: the site's zone if the operator gave one, else the one that
// its edge named last, else UTC.
func (d *Devices) ZoneOf(c *request.Request, device string) (*time.Location, error) {
	return d.ZoneAt(c, device, nil)
}

// ZoneAt returns the zone that applied at the time that start returns for it, the present one without start. If that is true
// of two zones it returns the earlier one: days that were there keep their beginning.
func (d *Devices) ZoneAt(c *request.Request, device string, start func(*time.Location) time.Time) (*time.Location, error) {
	if d.Zone != nil {
		return d.Zone, nil
	}
	about, err := d.About(c, device)
	if err != nil {
		return nil, err
	}
	for _, past := range about.Earlier {
		if zone := d.zones.orUTC(past.Zone); start != nil && start(zone).Before(past.Until) {
			return zone, nil
		}
	}
	return d.zones.orUTC(about.Zone), nil
}

// ZoneChange is a zone that a batch names and that is not the device's so far. The zero value is none.
type ZoneChange struct {
	zone string
	from time.Time // from which on it applies; zero: for everything
}

// ZoneChange returns what b changes about its device's zone. Call it before b is stored: only a batch that is newer
// than all that is stored changes anything, from its first sample on. One of older samples comes from somewhere else: it
// is an import, or what an edge had waiting. The first zone of all applies to everything.
func (d *Devices) ZoneChange(c *request.Request, b batch.Batch) (none ZoneChange) {
	device := c.Caller.Device
	if known, _ := d.infos.get(device, d.Now()); b.Zone == "" || known.Zone == b.Zone {
		return none
	}
	about, err := d.load(c, device)
	switch {
	case err != nil || about.Zone == b.Zone:
		return none
	case about.Zone == "":
		return ZoneChange{zone: b.Zone}
	}
	newest, err := request.Ask(d.Gate, c, "latest", func(ctx context.Context) (wire.Sample, error) { return d.Store.Latest(ctx, device) })
	if errors.Is(err, store.ErrNone) {
		return ZoneChange{zone: b.Zone}
	}
	if err != nil || len(b.Good) == 0 {
		return none
	}
	first := b.Good[0].Time
	for i := range b.Good {
		first = query.Earlier(first, b.Good[i].Time)
	}
	if first = first.Truncate(time.Millisecond); !first.After(newest.Time) {
		return none
	}
	return ZoneChange{b.Zone, first}
}

// ExistingZone returns zone, or "" if there is no such zone, which is logged once.
func (d *Devices) ExistingZone(device, zone string) string {
	if zone == "" {
		return ""
	}
	if _, err := d.zones.Load(zone); err == nil {
		d.infos.badZone(device, "")
		return zone
	}
	if d.infos.badZone(device, zone) {
		d.Log.Warn("edge sent an unknown time zone", "device", device, "tz", request.Capped(zone))
	}
	return ""
}

// NamedZone returns the time zone of that name.
func (d *Devices) NamedZone(name string) (*time.Location, error) { return d.zones.Load(name) }

// Zones keeps the time zones that were asked for: loading one reads a file. Only names that exist are kept, and not many
// more than there are: where zones are files with links among them, one zone may have any number of names.
type Zones struct {
	loaded sync.Map
	count  atomic.Int64
}

const maxZones = 1000

func (z *Zones) Load(name string) (*time.Location, error) {
	if zone, ok := z.loaded.Load(name); ok {
		return zone.(*time.Location), nil
	}
	if name == "" || name == "Local" || path.Clean(name) != name { // Go's own names, and other ways to write one
		return nil, errors.New("not the name of a time zone")
	}
	zone, err := time.LoadLocation(name)
	if err == nil && z.count.Load() < maxZones {
		if _, known := z.loaded.Swap(name, zone); !known {
			z.count.Add(1)
		}
	}
	return zone, err
}

func (z *Zones) orUTC(name string) *time.Location {
	if zone, err := z.Load(name); err == nil {
		return zone
	}
	return time.UTC
}
