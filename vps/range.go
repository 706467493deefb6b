package vps

import (
	"cmp"
	"net/url"
	"sunspool/vps/store"
	"time"
)

// History answers questions about what is stored of a device.
type History struct {
	*Devices

	exportCut func(reason string) // counts an export that ended before it was whole
}

// asked reads the parameters from, to and tz. A date is a whole local day, also in to: from=2026-10-25&to=2026-10-25 is
// that day. An RFC 3339 time is that instant, and to is not part of the span. Without from or to they are zero; frame is
// what will then be filled in, see framed.
func (h *History) asked(c *call, device string, params url.Values, frame store.Resolution) (sp span, err error) {
	if sp.zone, err = h.zoneOfSpan(c, device, params, frame); err != nil {
		return sp, err
	}
	if sp.from, err = moment(params, "from", sp.zone, 0); err != nil {
		return sp, err
	}
	if sp.to, err = moment(params, "to", sp.zone, 1); err != nil {
		return sp, err
	}
	if !sp.from.IsZero() && !sp.to.IsZero() && !sp.from.Before(sp.to) {
		return sp, invalid("bad_range", "Input should be after from", "query", "to")
	}
	return sp, nil
}

// weighed returns the starts of sp when so many rows may be computed for c.
func (h *History) weighed(c *call, sp span, r store.Resolution, most int) ([]time.Time, error) {
	if n := sp.atLeast(r); n <= int64(most) {
		if err := h.weigh(c, int(n)); err != nil {
			return nil, err
		}
	}
	return sp.starts(r, most)
}

// framed fills in what the reader left out: to is the end of the frame that is running, from the start of the one that
// to ends. Without a frame it is the device's first sample.
func (h *History) framed(c *call, device string, sp span, frame store.Resolution) (span, error) {
	now := h.Now().In(sp.zone)
	if sp.to.IsZero() {
		_, sp.to = cmp.Or(frame, store.Year).Period(now, sp.zone)
		if !sp.from.IsZero() && !sp.from.Before(sp.to) {
			sp.to = sp.from // a span of the future
		}
	}
	if !sp.from.IsZero() {
		return sp, nil
	}
	if frame != "" {
		sp.from, _ = frame.Period(sp.to.Add(-1), sp.zone)
		return sp, nil
	}
	first, _, err := h.extent(c, device, time.Time{}, sp.to)
	sp.from = first
	if first.IsZero() {
		sp.from = sp.to
	}
	return sp, err
}

// zoneOfSpan returns the zone that a reader asked for, else the one that held where the span begins. Where the reader
// leaves out from that is where the frame begins, but for the frame of today and for all time, which are cut as of now.
func (h *History) zoneOfSpan(c *call, device string, params url.Values, frame store.Resolution) (*time.Location, error) {
	from, to := last(params, "from"), last(params, "to")
	if last(params, "tz") != "" || from == "" && (frame == "" || frame == store.Day && to == "") {
		return h.seriesZone(c, device, last(params, "tz"))
	}
	return h.zoneHeld(c, device, func(zone *time.Location) time.Time {
		if from != "" {
			begin, _ := moment(params, "from", zone, 0) // what is wrong with it is answered when the span is read
			return begin
		}
		end := h.Now()
		if to != "" {
			end, _ = moment(params, "to", zone, 1)
			end = end.Add(-time.Millisecond)
		}
		begin, _ := frame.Period(end, zone)
		return begin
	})
}

// seriesZone is the zone that a reader asked for, else the device's.
func (h *History) seriesZone(c *call, device, asked string) (*time.Location, error) {
	if asked == "" {
		return h.zoneOf(c, device)
	}
	zone, err := h.namedZone(asked)
	if err != nil {
		return nil, invalid("timezone", "Input should be an IANA time zone", "query", "tz")
	}
	return zone, nil
}
