package history

import (
	"context"
	"fmt"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// Series answers GET /v1/series: the buckets of a frame, in ascending order, those without data left out; or, when a
// span is given in place of a frame, the mean powers in it.
func (h *History) Series(c *request.Request) (any, error) {
	required := []string{"frame"}
	asked := c.HTTP.URL.Query()
	spanned := !asked.Has("frame") && (asked.Has("from") || asked.Has("to") || asked.Has("resolution") || asked.Has("columns"))
	if spanned {
		required = nil
	}
	params, device, site, err := h.Asked(c, required...)
	if err != nil {
		return nil, err
	}
	if site != nil {
		if asked.Has("frame") {
			return nil, errFrameOfSite
		}
		return h.siteMeans(c, site, params)
	}
	if spanned {
		return h.means(c, device, params)
	}
	name := query.Last(params, "frame")
	frame, ok := frames[name]
	if !ok {
		return nil, problem.New(422, "bad_frame", fmt.Sprintf(
			"Invalid frame '%s'. Must be one of: ['all', 'day', 'month', 'year'].", request.Capped(name)))
	}
	zone, err := h.seriesZone(c, device, query.Last(params, "tz"))
	if err != nil {
		return nil, err
	}

	from, to, running := frame.around(h.Now(), zone)
	if query.Last(params, "partial") != "1" {
		to = running
	}
	q := store.Query{Device: device, From: from, To: to, Resolution: frame.bucket, Zone: zone}
	periods, err := request.Ask(h.Gate, c, "periods", func(ctx context.Context) ([]energy.Period, error) {
		if !from.IsZero() && !from.Before(to) {
			return nil, nil // the first bucket of the frame is the running one
		}
		return h.Store.Periods(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	answer := wire.Series{DeviceID: device, Frame: name, Buckets: make([]wire.Bucket, 0, len(periods))}
	for i := range periods {
		if periods[i].Rows > 0 {
			answer.Buckets = append(answer.Buckets, periods[i].Bucket())
		}
	}
	return answer, nil
}

// frame is a span around now, all time if it has no name, and the resolution of its buckets.
type frame struct{ span, bucket store.Resolution }

var frames = map[string]frame{
	"day": {store.Day, store.Hour}, "month": {store.Month, store.Day}, "year": {store.Year, store.Month}, "all": {"", store.Month},
}

// around returns where the frame begins and ends, and where its running bucket begins.
func (f frame) around(now time.Time, zone *time.Location) (from, to, running time.Time) {
	running, to = f.bucket.Period(now, zone)
	if f.span != "" {
		from, to = f.span.Period(now, zone)
	}
	return from, to, running
}
