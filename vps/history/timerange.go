// Package history answers questions about what is stored of a device: buckets of a frame, means over any span, energy and
// comparisons, peaks of quarter-hours, gaps, and exports.
//
//	Request ──> query ──> periods of rollups, or samples, some at once ──> columns, tables, lines of CSV
//
// Every answer that has kWh takes them from Rows, so that all agree.
package history

import (
	"cmp"
	"net/url"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/tariff"
)

// History answers questions about what is stored of a device.
type History struct {
	*deviceinfo.Devices

	ExportCut func(reason string) // counts an export that ended before it was whole
	Tariff    *tariff.File        // nil: answers have no money

	periods store.Kept[energy.Rollup] // of devices, those of a day and longer that are over
	joints  store.Kept[energy.Rollup] // what the members of a site have together in a period
	days    store.Kept[dayEnergies]   // of devices
}

// parseRange reads the parameters from, to and tz. A date is a whole local day, also in to: from=2026-10-25&to=2026-10-25 is
// that day. An RFC 3339 time is that instant, and to is not part of the span. A parameter that is missing is zero;
// withDefaults then fills it in by frame.
func (h *History) parseRange(c *request.Request, device string, params url.Values, frame store.Resolution) (sp query.Span, err error) {
	if sp.Zone, err = h.zoneOfSpan(c, device, params, frame); err != nil {
		return sp, err
	}
	if sp.From, err = query.Moment(params, "from", sp.Zone, 0); err != nil {
		return sp, err
	}
	if sp.To, err = query.Moment(params, "to", sp.Zone, 1); err != nil {
		return sp, err
	}
	if !sp.From.IsZero() && !sp.To.IsZero() && !sp.From.Before(sp.To) {
		return sp, problem.Invalid("bad_range", "Input should be after from", "query", "to")
	}
	return sp, nil
}

// periodStarts returns the starts of sp when so many rows may be computed for c.
func (h *History) periodStarts(c *request.Request, sp query.Span, r store.Resolution, most int) ([]time.Time, error) {
	if n := sp.AtLeast(r); n <= int64(most) {
		if err := h.Weigh(c, int(n)); err != nil {
			return nil, err
		}
	}
	return sp.PeriodStarts(r, most)
}

// withDefaults fills in what the reader left out: to is the end of the frame that is running, from the start of the one that
// to ends. Without a frame it is the first sample of the devices.
func (h *History) withDefaults(c *request.Request, sp query.Span, frame store.Resolution, devices ...string) (query.Span, error) {
	now := h.Now().In(sp.Zone)
	if sp.To.IsZero() {
		_, sp.To = cmp.Or(frame, store.Year).Period(now, sp.Zone)
		if !sp.From.IsZero() && !sp.From.Before(sp.To) {
			sp.To = sp.From // a span in the future
		}
	}
	if !sp.From.IsZero() {
		return sp, nil
	}
	if frame != "" {
		sp.From, _ = frame.Period(sp.To.Add(-1), sp.Zone)
		return sp, nil
	}
	begin := sp.To
	for _, device := range devices {
		first, _, err := h.Extent(c, device, time.Time{}, sp.To)
		if err != nil {
			return sp, err
		}
		if !first.IsZero() {
			begin = query.Earlier(begin, first)
		}
	}
	sp.From = begin
	return sp, nil
}

// zoneOfSpan returns the zone that a reader asked for, else the one that applied where the span begins. Without from that is
// where the frame begins; the frame of today and that of all time have the present zone.
func (h *History) zoneOfSpan(c *request.Request, device string, params url.Values, frame store.Resolution) (*time.Location, error) {
	from, to := query.Last(params, "from"), query.Last(params, "to")
	if query.Last(params, "tz") != "" || from == "" && (frame == "" || frame == store.Day && to == "") {
		return h.seriesZone(c, device, query.Last(params, "tz"))
	}
	return h.ZoneAt(c, device, func(zone *time.Location) time.Time {
		if from != "" {
			begin, _ := query.Moment(params, "from", zone, 0) // an error in it is answered when the span is parsed
			return begin
		}
		end := h.Now()
		if to != "" {
			end, _ = query.Moment(params, "to", zone, 1)
			end = end.Add(-time.Millisecond)
		}
		begin, _ := frame.Period(end, zone)
		return begin
	})
}

// seriesZone is the zone that a reader asked for, else the device's.
func (h *History) seriesZone(c *request.Request, device, asked string) (*time.Location, error) {
	if asked == "" {
		return h.ZoneOf(c, device)
	}
	zone, err := h.NamedZone(asked)
	if err != nil {
		return nil, problem.Invalid("timezone", "Input should be an IANA time zone", "query", "tz")
	}
	return zone, nil
}
