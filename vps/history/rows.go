package history

import (
	"context"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// The unit's other days around a gap, from which the time of its energy is estimated.
const (
	profileDays = 3  // on either side
	maxProfiles = 20 // in one answer
)

// Rows returns the energy of all periods of sp, those without samples included. The last one ends with sp. Every answer that
// has kWh gets them from here.
func (h *History) Rows(c *request.Request, device string, sp query.Span, r store.Resolution) ([]energy.Row, error) {
	starts, err := sp.PeriodStarts(r, maxEnergyRows)
	if err != nil || len(starts) < 2 {
		return nil, err
	}
	return h.rowsAt(c, starts, store.Query{Device: device, Resolution: r, Zone: sp.Zone})
}

// rowsAt returns the rows of the periods of q that begin at starts, the last of which is the end of them all.
func (h *History) rowsAt(c *request.Request, starts []time.Time, q store.Query) ([]energy.Row, error) {
	rows, _, err := h.rowsRead(c, starts, q)
	return rows, err
}

// rowsRead is rowsAt, and returns of which time rollups were read for that; zero if those of other days were as well.
func (h *History) rowsRead(c *request.Request, starts []time.Time, q store.Query) (all []energy.Row, read query.Span, err error) {
	q.From, q.To = starts[0], starts[len(starts)-1]
	found, err := request.Ask(h.Gate, c, "surrounded", func(ctx context.Context) (all store.Surroundings, err error) {
		all.Periods, all.Around, err = h.Store.Surrounded(ctx, q)
		return all, err
	})
	if err != nil {
		return nil, read, err
	}
	if found.GreatestW, err = request.Ask(h.Gate, c, "greatest", func(ctx context.Context) (float64, error) { return h.Store.GreatestW(ctx, q.Device) }); err != nil {
		return nil, read, err
	}
	return h.rowsOf(c, q.Device, starts, &found)
}

// rowsOf is rowsRead of what was read.
func (h *History) rowsOf(c *request.Request, device string, starts []time.Time, found *store.Surroundings) (all []energy.Row, read query.Span, err error) {
	left := maxProfiles
	read = query.Span{From: found.Before.Start, To: found.After.End}
	found.Profile = func(from, to int64) *energy.Profile {
		read = query.Span{}
		if left--; left < 0 || err != nil {
			return nil
		}
		var p *energy.Profile
		p, err = h.profile(c, device, from, to)
		return p
	}
	all = energy.Table(consecutive(starts, found.Periods), found.Around)
	return all, read, err
}

// mostSurrounded is how many periods of all devices are read at once.
const mostSurrounded = 1000

// eachRows calls f with the rows of each of some devices, as rowsRead returns them. The store is asked for many devices at once.
func (h *History) eachRows(c *request.Request, devices []string, starts []time.Time, q store.Query, f func(i int, rows []energy.Row, read query.Span)) error {
	q.From, q.To = starts[0], starts[len(starts)-1]
	atOnce := max(1, mostSurrounded/(len(starts)+1)) // and what is before and after them
	for first := 0; first < len(devices); first += atOnce {
		some := devices[first:min(first+atOnce, len(devices))]
		found, err := request.Ask(h.Gate, c, "surrounded", func(ctx context.Context) ([]store.Surroundings, error) { return h.Store.SurroundedOf(ctx, some, q) })
		if err != nil {
			return err
		}
		for i, device := range some {
			rows, read, err := h.rowsOf(c, device, starts, &found[i])
			if err != nil {
				return err
			}
			f(first+i, rows, read)
			found[i] = store.Surroundings{}
		}
	}
	return nil
}

// profile returns the unit's usual day around a gap.
func (h *History) profile(c *request.Request, device string, from, to int64) (*energy.Profile, error) {
	var p energy.Profile
	days := profileDays * 24 * time.Hour
	before, after := time.UnixMilli(from), time.UnixMilli(to)
	for _, side := range [...]query.Span{{From: before.Add(-days), To: before}, {From: after, To: after.Add(days)}} {
		hours, err := h.Periods(c, store.Query{Device: device, From: side.From, To: side.To, Resolution: store.Hour})
		if err != nil {
			return nil, err
		}
		for i := range hours {
			p.Add(&hours[i])
		}
	}
	return &p, nil
}

// consecutive returns the periods that begin at starts, the last of which is the end of them all: those that were found, and
// empty ones between them.
func consecutive(starts []time.Time, found []energy.Period) []energy.Period {
	all := make([]energy.Period, len(starts)-1)
	for i := range all {
		if len(found) > 0 && found[0].Start.Before(starts[i+1]) {
			all[i] = found[0]
			found = found[1:]
		}
		all[i].Start, all[i].End = starts[i], starts[i+1]
	}
	return all
}
