package vps

import (
	"context"
	"fmt"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/wire"
)

// series answers GET /v1/series: the buckets of a frame, in ascending order, those without data left out; or, when a
// span is asked for in place of a frame, the powers in it.
func (s *Server) series(c *call) (any, error) {
	required := []string{"device_id", "frame"}
	asked := c.r.URL.Query()
	spanned := !asked.Has("frame") && (asked.Has("from") || asked.Has("to") || asked.Has("resolution") || asked.Has("columns"))
	if spanned {
		required = required[:1]
	}
	query, device, err := readable(c, required...)
	if err != nil {
		return nil, err
	}
	if spanned {
		return s.powers(c, device, query)
	}
	name := last(query, "frame")
	cut, ok := frames[name]
	if !ok {
		return nil, refuse(422, "bad_frame", fmt.Sprintf(
			"Invalid frame '%s'. Must be one of: ['all', 'day', 'month', 'year'].", capped(name)))
	}
	zone, err := s.seriesZone(c, device, last(query, "tz"))
	if err != nil {
		return nil, err
	}

	from, to, running := cut(s.Now().In(zone))
	if last(query, "partial") != "1" {
		to = running
	}
	q := store.Query{Device: device, From: from, To: to, Resolution: resolutions[name], Zone: zone}
	periods, err := ask(s, c, "periods", func(ctx context.Context) ([]energy.Period, error) {
		if !from.IsZero() && !from.Before(to) {
			return nil, nil // the first bucket of the frame is the running one
		}
		return s.Store.Periods(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	answer := wire.Series{DeviceID: device, Frame: name, Buckets: make([]wire.Bucket, len(periods))}
	for i := range periods {
		answer.Buckets[i] = periods[i].Bucket()
	}
	return answer, nil
}

// seriesZone is the zone that a reader asked for, else the device's.
func (s *Server) seriesZone(c *call, device, asked string) (*time.Location, error) {
	if asked == "" {
		return s.zoneOf(c, device)
	}
	zone, err := s.zones.load(asked)
	if err != nil {
		return nil, invalid("timezone", "Input should be an IANA time zone", "query", "tz")
	}
	return zone, nil
}

var resolutions = map[string]store.Resolution{"day": store.Hour, "month": store.Day, "year": store.Month, "all": store.Month}

// frames cut the time around now: where the frame begins and ends, and where its running bucket begins.
var frames = map[string]func(now time.Time) (from, to, running time.Time){
	"day": func(now time.Time) (from, to, running time.Time) {
		return startOfDay(now, 0), startOfDay(now, 1), startOfHour(now)
	},
	"month": func(now time.Time) (from, to, running time.Time) {
		return startOfMonth(now, 0), startOfMonth(now, 1), startOfDay(now, 0)
	},
	"year": func(now time.Time) (from, to, running time.Time) {
		return startOfYear(now, 0), startOfYear(now, 1), startOfMonth(now, 0)
	},
	"all": func(now time.Time) (from, to, running time.Time) {
		return time.Time{}, startOfMonth(now, 1), startOfMonth(now, 0)
	},
}

// startOf returns the first instant of a local day, which is not midnight where the clocks go forward at midnight.
func startOf(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if want := time.Date(year, month, day, 12, 0, 0, 0, zone).Day(); t.Day() != want {
		t = t.Add(time.Hour)
	}
	return t
}

func startOfDay(t time.Time, ahead int) time.Time {
	return startOf(t.Year(), t.Month(), t.Day()+ahead, t.Location())
}

func startOfMonth(t time.Time, ahead int) time.Time {
	return startOf(t.Year(), t.Month()+time.Month(ahead), 1, t.Location())
}

func startOfYear(t time.Time, ahead int) time.Time {
	return startOf(t.Year()+ahead, time.January, 1, t.Location())
}

// startOfHour counts back instead of rebuilding the time, which would be ambiguous in the hour that happens twice.
func startOfHour(t time.Time) time.Time {
	return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
}
