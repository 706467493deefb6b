package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sunspool/vps/live"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// missed returns the samples that a reader may not have whose last event was lastID.
func (e *events) missed(lastID string) (samples []wire.Sample, err error) {
	newest, err := request.Ask(&e.s.Gate, e.c, "latest", func(ctx context.Context) (wire.Sample, error) { return e.s.Store.Latest(ctx, e.device) })
	if errors.Is(err, store.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e.newest = &newest
	recent, err := e.recent()
	if err != nil {
		return nil, err
	}
	if ms, err := strconv.ParseInt(lastID, 10, 64); err == nil && ms <= newest.Time.UnixMilli() {
		e.last = time.UnixMilli(ms)
		e.mark(ms)
		if len(recent) == wire.MaxSamples {
			return recent, nil // the rest is found later
		}
		return append(recent, newest), nil
	}
	for i := range recent {
		if recent[i].Time.Before(newest.Time) { // what was there before is not late
			e.mark(recent[i].Time.UnixMilli())
		}
	}
	return []wire.Sample{newest}, nil
}

// recent returns the stored samples of the last ten minutes.
func (e *events) recent() ([]wire.Sample, error) {
	from := e.s.Now().Add(-live.Window)
	e.looked = e.s.Now()
	return request.Ask(&e.s.Gate, e.c, "each", func(ctx context.Context) (all []wire.Sample, err error) {
		err = e.s.Store.Each(ctx, e.device, from, time.Time{}, func(sample wire.Sample) bool {
			all = append(all, sample)
			return len(all) < wire.MaxSamples
		})
		return all, err
	})
}

// samples adds those that were not sent on this connection. Only a sample that is newer than all others has an id, with which
// its reader comes back.
func (e *events) samples(all []wire.Sample) {
	for i := range all {
		sample := &all[i]
		if !e.mark(sample.Time.UnixMilli()) {
			continue
		}
		e.today.outdated = true
		if !sample.Time.After(e.last) {
			e.add("late", powersOf(sample))
			continue
		}
		e.last, e.newest = sample.Time, sample
		fmt.Fprintf(&e.ready, "id: %d\n", sample.Time.UnixMilli())
		e.add("sample", powersOf(sample))
	}
	oldest, _ := slices.BinarySearch(e.sent, e.s.Now().Add(-live.Window-findEvery).UnixMilli())
	e.sent = slices.Delete(e.sent, 0, oldest)
}

// mark remembers that the sample of that time, ms, is not to be sent again, and reports whether it was to be.
func (e *events) mark(ms int64) (new bool) {
	i, found := slices.BinarySearch(e.sent, ms)
	if !found {
		e.sent = slices.Insert(e.sent, i, ms)
	}
	return !found
}

// broadcast publishes what was stored to the streams of this process and of the others.
func (s *Server) broadcast(samples []wire.Sample) {
	recent := live.Recent(samples, s.Now())
	s.live.Publish(recent...)
	if s.Others != nil {
		for _, sample := range recent {
			s.Others.Publish(sample)
		}
	}
}

// Listen publishes what other processes stored to the streams of this one, until ctx ends.
func (s *Server) Listen(ctx context.Context) {
	s.Others.Listen(ctx, s.live.HasSubscribers, func(sample wire.Sample) {
		s.live.Publish(live.Recent([]wire.Sample{sample}, s.Now())...)
	})
}
