package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sunspool/edge/simulator"
	"sunspool/wire"
)

const (
	historyStep = 5 * time.Minute // between samples of the past
	pollStep    = 5 * time.Second // between those of the present
	recentDays  = 13              // before today: what the first view shows
)

// homeHistory is what a device measured before the start: a sample for each five minutes, and for each poll of the last ones
// if it is read now.
type homeHistory struct {
	device string
	home   *simulator.Home
	span
	polled time.Time // since when there is a sample for each poll
	sleeps bool      // the device is silent while it has no sun
	gaps   []span
}

// histories returns those of all devices that have one, that of Device first.
func (s *show) histories(c *Config) []homeHistory {
	end := s.started.Truncate(historyStep)
	read := homeHistory{device: Device, home: s.home, span: span{end.AddDate(0, 0, -c.Days), s.started}, polled: end.Add(-historyStep), gaps: s.with.gaps(end)}
	if c.Days == 0 {
		read.to = read.from
	}
	all := []homeHistory{read}
	for _, n := range s.with.others {
		if n.never {
			continue
		}
		h := homeHistory{device: n.id, home: s.homes[n.id], span: read.span, polled: read.polled, sleeps: n.sleeps}
		if !n.simulated {
			h.to = end.Add(-n.silent - n.backlog)
			h.from, h.polled = h.to.AddDate(0, 0, -min(c.Days, fleetDays)), h.to
		}
		all = append(all, h)
	}
	return all
}

// cut returns the part of a history before the recent days, and those.
func (h homeHistory) cut(start time.Time) (older, recent homeHistory) {
	y, m, d := start.Date()
	at := time.Date(y, m, d-recentDays, 0, 0, 0, 0, start.Location())
	older, recent = h, h
	if at = earlier(at, h.to); at.Before(h.from) {
		at = h.from
	}
	older.to, recent.from = at, at
	return older, recent
}

// rememberRecent puts the last days into the store, as an edge would have delivered them, and returns how many samples there
// are. The page has all of its first view after it.
func (s *show) rememberRecent(ctx context.Context, c *Config) (n int, err error) {
	for _, h := range s.histories(c) {
		_, recent := h.cut(s.started)
		stored, err := s.insert(ctx, recent)
		if err != nil {
			return n, err
		}
		n += stored
	}
	return n, nil
}

// remember puts the days before those into the store.
func (s *show) remember(ctx context.Context, c *Config, p *panel) error {
	begun, n := time.Now(), s.recent
	for _, h := range s.histories(c) {
		older, _ := h.cut(s.started)
		stored, err := s.insert(ctx, older)
		if err != nil || ctx.Err() != nil {
			return err
		}
		n += stored
	}
	p.remembered(n, time.Since(begun))
	return nil
}

// insert stores a history without its gaps, and returns how many samples there are, fewer if ctx ends.
func (s *show) insert(ctx context.Context, h homeHistory) (n int, err error) {
	var batch []wire.Sample
	flush := func() error {
		if _, err := s.store.Insert(ctx, h.device, batch); err != nil && ctx.Err() == nil {
			return fmt.Errorf("history: %w", err)
		}
		n, batch = n+len(batch), batch[:0]
		return nil
	}
	dark := false
	for _, part := range []struct {
		span
		step time.Duration
	}{{span{h.from, earlier(h.polled, h.to)}, historyStep}, {span{earlier(h.polled, h.to), h.to}, pollStep}} {
		for plant := range h.home.History(part.from, part.to, part.step) {
			slept := h.sleeps && dark && plant.PVPower == 0
			dark = plant.PVPower == 0
			if slept || slices.ContainsFunc(h.gaps, func(g span) bool { return g.contains(plant.Time) }) {
				continue
			}
			sample := sampleOf(&plant, h.device)
			sample.Count = int(part.step / pollStep)
			if batch = append(batch, sample); len(batch) < 20*wire.MaxSamples {
				continue
			}
			if err := flush(); err != nil || ctx.Err() != nil {
				return n, err
			}
		}
	}
	return n, flush()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// sampleOf returns what an edge reads of a plant, of the registers in Values only those of its strings.
func sampleOf(p *simulator.Plant, device string) wire.Sample {
	s := p.Sample(device)
	s.Values = map[string]float64{"mppt1_voltage": p.Strings[0].Volts, "mppt1_current": p.Strings[0].Amps,
		"mppt2_voltage": p.Strings[1].Volts, "mppt2_current": p.Strings[1].Amps}
	return s
}
