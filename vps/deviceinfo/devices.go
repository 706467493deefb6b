// Package deviceinfo keeps what is known of devices beside their samples: what their edges report of themselves, in which
// zone their days begin and end, and whether one that is silent is asleep.
//
//	upload ──> Devices.Update, ZoneChange ──> in memory ──> store.Describe, now and then
//	question ──> Devices.About, ZoneAt, StateOf, Slept <── memory, or the store
package deviceinfo

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// Devices is what is known of devices beside their samples: what their edges reported, their zones, and whether they sleep.
type Devices struct {
	*request.Gate // of the same server

	Store store.Samples
	Zone  *time.Location // of every device; default the one that its edge names

	// Sites keeps which devices belong together; without it there are none.
	Sites store.Sites

	infos     infos
	zones     Zones
	sleeping  sleepStates
	equipment equipment
	days      store.Kept[[]hour]
}

// Extent returns the times of the first and the last sample in [from, to), zero when there is none.
func (d *Devices) Extent(c *request.Request, device string, from, to time.Time) (first, end time.Time, err error) {
	years, err := d.Periods(c, store.Query{Device: device, From: from, To: to, Resolution: store.Year})
	years = slices.DeleteFunc(years, func(p energy.Period) bool { return p.Rows == 0 })
	if err != nil || len(years) == 0 {
		return first, end, err
	}
	return time.UnixMilli(years[0].First).UTC(), time.UnixMilli(years[len(years)-1].Last).UTC(), nil
}

// Periods asks the store for rollups.
func (d *Devices) Periods(c *request.Request, q store.Query) ([]energy.Period, error) {
	return request.Ask(d.Gate, c, "periods", func(ctx context.Context) ([]energy.Period, error) { return d.Store.Periods(ctx, q) })
}

// Registered returns the devices of the store and those that have a token but never sent anything, by name; or only those
// that are named, without reading all the others.
func (d *Devices) Registered(c *request.Request, names []string) (all []store.Device, err error) {
	for _, name := range names {
		about, err := d.About(c, name)
		if err != nil {
			return nil, err
		}
		first, end, err := d.Extent(c, name, time.Time{}, time.Time{})
		if err != nil {
			return nil, err
		}
		all = append(all, store.Device{ID: name, About: about, First: first, Last: end})
	}
	if names != nil {
		return all, nil
	}
	all, err = request.Ask(d.Gate, c, "devices", d.Store.Devices)
	if err != nil {
		return nil, err
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b store.Device) int { return ByID(a, b.ID) })
	for i := range all {
		all[i].About = d.infos.loaded(all[i].ID, all[i].About, d.Now())
	}
	for _, id := range d.Tokens.Devices() {
		if i, found := slices.BinarySearchFunc(all, id, ByID); !found {
			all = slices.Insert(all, i, store.Device{ID: id})
		}
	}
	return all, nil
}

// ByID compares a device with a name, for a binary search.
func ByID(d store.Device, id string) int { return cmp.Compare(d.ID, id) }
