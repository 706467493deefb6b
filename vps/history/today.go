package history

import (
	"context"
	"math"
	"slices"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// dayEnergies are those of a device in a day, NaN where one is not known.
type dayEnergies [energy.Energies]float64

// What is read beside a day for its energies, unless a counter has to be looked for further away: some whole hours.
const (
	readBefore = 49 * time.Hour
	readAfter  = 25 * time.Hour
)

// TodayDigests returns digests of what the energies of devices in the day of now, of any zone, are computed from.
func (h *History) TodayDigests(c *request.Request, devices []string, now time.Time) ([]store.Digest, error) {
	const day = 27 * time.Hour
	return request.Ask(h.Gate, c, "digests", func(ctx context.Context) ([]store.Digest, error) {
		return h.Store.Digests(ctx, devices, now.Add(-day-readBefore), now.Add(day+readAfter))
	})
}

// Day returns the energies of a device in a day, nil for those that are not known. They are not computed again while its
// digest, which may be nil, is the same.
func (h *History) Day(c *request.Request, device string, day query.Span, digest *store.Digest) (kwh [energy.Energies]*float64, err error) {
	key := dayKey(device, day, digest)
	all, ok := h.days.Get(key)
	if !ok {
		if all, err = h.readDay(c, device, day, key); err != nil {
			return kwh, err
		}
	}
	for e := range all {
		if !math.IsNaN(all[e]) {
			kwh[e] = &all[e]
		}
	}
	return kwh, nil
}

// dayKey returns by which key the energies of a device in a day are kept, 0 where they are not. The greatest power is of all that
// the device ever sent: it decides which counters are believed, also of a day that stays as it is.
func dayKey(device string, day query.Span, digest *store.Digest) uint64 {
	if digest == nil {
		return 0
	}
	hash := store.NewHash()
	hash.WriteString(device)
	store.AddWords(hash, day.From.UnixMilli(), day.To.UnixMilli(), int64(math.Float64bits(digest.GreatestW)))
	if !digest.AddTo(hash, day.From.Add(-readBefore).UnixMilli(), day.To.Add(readAfter).UnixMilli()) {
		return 0
	}
	return store.KeyOf(hash)
}

// ReadDays computes the energies of devices in their days together, as far as they are not known, so that Day has them. That is
// worth while for many: a database that is far away is asked a few times for all.
func (h *History) ReadDays(c *request.Request, devices []string, days []query.Span, digests []store.Digest) error {
	type group struct {
		day     query.Span
		devices []string
		keys    []uint64
	}
	var groups []*group
	for i, device := range devices {
		key := dayKey(device, days[i], &digests[i])
		if _, ok := h.days.Get(key); ok || key == 0 || digests[i].Last == 0 {
			continue
		}
		n := slices.IndexFunc(groups, func(g *group) bool {
			return g.day.From.Equal(days[i].From) && g.day.To.Equal(days[i].To) && g.day.Zone == days[i].Zone
		})
		if n < 0 {
			n, groups = len(groups), append(groups, &group{day: days[i]})
		}
		groups[n].devices, groups[n].keys = append(groups[n].devices, device), append(groups[n].keys, key)
	}
	for _, g := range groups {
		q := store.Query{Resolution: store.Day, Zone: g.day.Zone}
		err := h.eachRows(c, g.devices, []time.Time{g.day.From, g.day.To}, q, func(i int, rows []energy.Row, read query.Span) {
			h.keepDay(g.day, &rows[0], read, g.keys[i])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readDay returns the energies of a device in a day, and keeps them by key, unless that is 0 or more was read.
func (h *History) readDay(c *request.Request, device string, day query.Span, key uint64) (all dayEnergies, err error) {
	rows, read, err := h.rowsRead(c, []time.Time{day.From, day.To}, store.Query{Device: device, Resolution: store.Day, Zone: day.Zone})
	if err != nil {
		return all, err
	}
	return h.keepDay(day, &rows[0], read, key), nil
}

func (h *History) keepDay(day query.Span, row *energy.Row, read query.Span, key uint64) (all dayEnergies) {
	for e := range all {
		all[e] = unknown
		if v, from := row.KWh(e); from != energy.Unknown {
			all[e] = v
		}
	}
	if !read.From.Before(day.From.Add(-readBefore)) && !read.To.After(day.To.Add(readAfter)) {
		h.days.Put(key, all)
	}
	return all
}
