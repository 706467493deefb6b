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
)

// remember puts the past into the store, as an edge would have delivered it in the days before: five minutes a sample.
func (s *show) remember(ctx context.Context, c Config, p *panel) error {
	begun, end := time.Now(), s.started.Truncate(historyStep)
	n, err := s.insertHistory(ctx, Device, s.home, span{end.AddDate(0, 0, -c.Days), end}, false, s.with.gaps(end)...)
	if err != nil || ctx.Err() != nil {
		return err
	}
	p.remembered(n, time.Since(begun))
	return nil
}

// insertHistory stores what a device measured in whole, without the gaps, and returns how many samples there are. One that
// sleeps is silent while it has no sun.
func (s *show) insertHistory(ctx context.Context, device string, home *simulator.Home, whole span, sleeps bool, gaps ...span) (n int, err error) {
	var batch []wire.Sample
	flush := func() error {
		if _, err := s.store.Insert(ctx, device, batch); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		n, batch = n+len(batch), batch[:0]
		return nil
	}
	dark := false
	for plant := range home.History(whole.from, whole.to, historyStep) {
		slept := sleeps && dark && plant.PVPower == 0
		dark = plant.PVPower == 0
		if slept || slices.ContainsFunc(gaps, func(g span) bool { return g.contains(plant.Time) }) {
			continue
		}
		sample := sampleOf(&plant, device)
		sample.Count = int(historyStep / pollStep)
		if batch = append(batch, sample); len(batch) < 20*wire.MaxSamples {
			continue
		}
		if err := flush(); err != nil || ctx.Err() != nil {
			return n, err
		}
	}
	return n, flush()
}

// sampleOf returns what an edge reads of a plant, of the registers in Values only those of its strings.
func sampleOf(p *simulator.Plant, device string) wire.Sample {
	s := p.Sample(device)
	s.Values = map[string]float64{"mppt1_voltage": p.Strings[0].Volts, "mppt1_current": p.Strings[0].Amps,
		"mppt2_voltage": p.Strings[1].Volts, "mppt2_current": p.Strings[1].Amps}
	return s
}
