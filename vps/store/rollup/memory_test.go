package rollup

import (
	"math"
	"sort"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/energytest"
	"sunspool/vps/store"
	"sunspool/wire"
)

// memory is a device of a store that keeps its samples and rollups in memory, made and read as the real ones do.
type memory struct {
	samples  []wire.Sample
	greatest float64 // W, that a sample shows
	rows     [Levels][]memoryRow
}

type memoryRow struct {
	start int64
	energy.Rollup
}

// hold makes m hold nothing but samples, which are in ascending order, each time once.
func (m *memory) hold(samples []wire.Sample) {
	m.samples, m.greatest = samples, 0
	for i := range samples {
		m.greatest = max(m.greatest, energy.GreatestW(&samples[i]))
	}
	for level := range m.rows {
		m.rows[level] = m.rows[level][:0]
	}
	m.base()
	for level := BaseLevel + 1; level < Levels; level++ {
		m.derive(level)
	}
}

func (m *memory) base() {
	all := &m.rows[BaseLevel]
	for i := range m.samples {
		start := StartOf(BaseLevel, m.samples[i].Time.UnixMilli())
		if n := len(*all); n == 0 || (*all)[n-1].start != start {
			*all = append(*all, memoryRow{start: start})
		}
		(*all)[len(*all)-1].Add(&m.samples[i])
	}
}

func (m *memory) derive(level int) {
	below, all := m.rows[level-1], &m.rows[level]
	for len(below) > 0 {
		start := StartOf(level, below[0].start)
		var sum energy.Sum
		for len(below) > 0 && below[0].start < start+Spans[level] {
			AddRow(&sum, level-1, &below[0].Rollup)
			below = below[1:]
		}
		*all = append(*all, memoryRow{start, sum.Rollup()})
	}
}

func (m *memory) gather(q store.Query, around bool) *Gatherer {
	first, last := m.samples[0].Time.UnixMilli(), m.samples[len(m.samples)-1].Time.UnixMilli()
	g := m.gatherScope(q, NewScope(q, first, last, around))
	if scope, wider := g.Wider(first, last, m.dayBeside); around && wider {
		return m.gatherScope(q, scope)
	}
	return g
}

func (m *memory) gatherScope(q store.Query, s Scope) *Gatherer {
	g := NewGatherer(q, s)
	for _, s := range s.Plan(q) {
		if s.Level == SamplesLevel {
			for i := m.sample(s.From); i < len(m.samples) && m.samples[i].Time.UnixMilli() < s.To; i++ {
				g.AddSample(&m.samples[i])
			}
			continue
		}
		rows := m.rows[s.Level]
		for i := m.row(s.Level, s.From); i < len(rows) && rows[i].start < s.To; i++ {
			g.AddRow(s.Level, &rows[i].Rollup)
		}
	}
	g.End()
	return g
}

// sample returns the index of the first sample at t ms or after it, row that of the first row of a level.
func (m *memory) sample(t int64) int {
	return sort.Search(len(m.samples), func(i int) bool { return m.samples[i].Time.UnixMilli() >= t })
}

func (m *memory) row(level int, t int64) int {
	rows := m.rows[level]
	return sort.Search(len(rows), func(i int) bool { return rows[i].start >= t })
}

func (m *memory) dayBeside(t int64, back bool, n int) int64 {
	days, i, found := m.rows[DayLevel], m.row(DayLevel, t), t
	step := 1
	if back {
		i, step = i-1, -1
	}
	for ; i >= 0 && i < len(days) && n > 0; n-- {
		found = days[i].start
		i += step
	}
	return found
}

// table returns what the server makes of a question.
func (m *memory) table(q store.Query) []energy.Row {
	q.From, _ = q.Resolution.Period(q.From, q.Zone)
	var starts []energy.Period
	for at := q.From; at.Before(q.To); {
		start, end := q.Resolution.Period(at, q.Zone)
		starts = append(starts, energy.Period{Start: start, End: end})
		at = end
	}
	q.To = starts[len(starts)-1].End
	g := m.gather(q, true)
	found := g.Periods
	for i := range starts {
		if len(found) > 0 && found[0].Start.Equal(starts[i].Start) {
			starts[i], found = found[0], found[1:]
		}
	}
	return energy.Table(starts, energy.Around{Before: g.Sides[0], After: g.Sides[1], GreatestW: m.greatest})
}

var resolutions = map[string]store.Resolution{"hour": store.Hour, "day": store.Day, "month": store.Month, "year": store.Year}

// asking asks a memory for the columns of GET /v1/energy.
func (m *memory) asking(zone *time.Location) energytest.Ask {
	return func(resolution string, from, to time.Time) energytest.Answer {
		rows := m.table(store.Query{From: from, To: to, Resolution: resolutions[resolution], Zone: zone})
		a := energytest.Answer{Columns: map[string][]float64{}}
		for e, name := range energytest.Names {
			a.Columns[name], _, _ = energy.Column(rows, e)
		}
		add := func(name string, v float64, ok bool) {
			if !ok {
				v = math.NaN()
			}
			a.Columns[name] = append(a.Columns[name], v)
		}
		for i := range rows {
			r := &rows[i]
			a.From = append(a.From, r.Start.Unix())
			v, ok := r.SelfConsumption()
			add("self_consumption_pct", 100*v, ok)
			v, ok = r.SelfSufficiency()
			add("self_sufficiency_pct", 100*v, ok)
			add("coverage", r.Coverage(energy.KnowsPV, r.End), true)
			add("flows_coverage", r.Coverage(energy.KnowsFlows, r.End), true)
		}
		return a
	}
}
