package postgres

import (
	"context"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

func (p *Store) Periods(ctx context.Context, q store.Query) ([]energy.Period, error) {
	g, err := p.gather(ctx, q, false)
	if err != nil {
		return nil, err
	}
	return g.Periods, nil
}

func (p *Store) Surrounded(ctx context.Context, q store.Query) ([]energy.Period, energy.Around, error) {
	g, err := p.gather(ctx, q, true)
	if err != nil {
		return nil, energy.Around{}, err
	}
	return g.Periods, energy.Around{Before: g.Sides[0], After: g.Sides[1]}, nil
}

func (p *Store) gather(ctx context.Context, q store.Query, around bool) (g *rollup.Gatherer, err error) {
	if q, err = q.Valid(); err != nil {
		return nil, err
	}
	err = p.db.Read(ctx, "periods", func(ctx context.Context, db database.Querier) error {
		r := periodsReader{ctx: ctx, db: db, q: q, repaired: map[rollupKey]energy.Rollup{}, powers: !around,
			notePending: func(start int64) { p.repairs.Note(rollup.SpanKey{Device: q.Device, Start: start}) }}
		g, err = r.gather(around)
		return err
	})
	return g, err
}

// periodsReader answers one query of periods.
type periodsReader struct {
	ctx         context.Context
	db          database.Querier
	q           store.Query
	repaired    map[rollupKey]energy.Rollup // rows that are pending or of another version
	powers      bool                        // rollups are read without their counters
	notePending func(start int64)           // called with base rows that are pending
}

// rollupKey names a row of the rollups of one device.
type rollupKey struct {
	level int
	start int64
}

func (r *periodsReader) gather(around bool) (*rollup.Gatherer, error) {
	first, last, ok, err := extent(r.ctx, r.db, r.q.Device)
	if err != nil || !ok {
		return rollup.NewGatherer(r.q, rollup.Scope{}), err
	}
	g, err := r.inScope(rollup.NewScope(r.q, first, last, around))
	if err != nil || !around {
		return g, err
	}
	scope, wider := g.Wider(first, last, func(t int64, back bool, n int) int64 {
		found, e := r.dayBeside(t, back, n)
		if err == nil {
			err = e
		}
		return found
	})
	if err != nil || !wider {
		return g, err
	}
	return r.inScope(scope)
}

func (r *periodsReader) inScope(s rollup.Scope) (*rollup.Gatherer, error) {
	all := s.Plan(r.q)
	for {
		g := rollup.NewGatherer(r.q, s)
		broken, err := r.rows(all, g)
		if err != nil {
			return nil, err
		}
		if len(broken) == 0 {
			g.End()
			return g, nil
		}
		for _, k := range broken { // inserts replace them one by one
			if r.repaired[k], err = derive(r.ctx, r.db, r.q.Device, k.level, k.start, r.notePending); err != nil {
				return nil, err
			}
		}
	}
}

// rows adds the rows of the plan to g as they come. It returns those that must be repaired first; then g is not to be used.
func (r *periodsReader) rows(all []rollup.Range, g *rollup.Gatherer) (broken []rollupKey, err error) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && (all[n].Level == rollup.SamplesLevel) == (all[0].Level == rollup.SamplesLevel) {
			n++
		}
		some := all[:n]
		all = all[n:]
		if some[0].Level == rollup.SamplesLevel {
			if err := readRanges(r.ctx, r.db, r.q.Device, some, func(_ int, s *wire.Sample) { g.AddSample(s) }); err != nil {
				return nil, err
			}
			continue
		}
		rows, err := r.db.Query(r.ctx, selectRollups, rangeArgs(r.q.Device, some)...)
		if err != nil {
			return nil, err
		}
		if err := scanRollups(rows, r.powers, func(n int, start int64, row *energy.Rollup, whole bool) {
			if !whole {
				k := rollupKey{some[n].Level, start}
				pending := row.Rows > 0
				if *row, whole = r.repaired[k]; !whole {
					broken = append(broken, k)
					if pending && k.level == rollup.BaseLevel {
						r.notePending(start)
					}
				}
			}
			g.AddRow(some[n].Level, row)
		}); err != nil {
			return nil, err
		}
	}
	return broken, nil
}

const (
	selectDayBefore = `select min(start) from (select start from rollups where device_id = $1 and level = $2 and start < $3
		order by start desc limit $4) r`
	selectDayAfter = `select max(start) from (select start from rollups where device_id = $1 and level = $2 and start >= $3
		order by start limit $4) r`
)

// dayBeside does what device.dayBeside of package bolt does.
func (r *periodsReader) dayBeside(t int64, back bool, n int) (found int64, err error) {
	beside := selectDayAfter
	if back {
		beside = selectDayBefore
	}
	var start *time.Time
	err = r.db.QueryRow(r.ctx, beside, r.q.Device, rollup.DayLevel, rollup.FromMS(t), n).Scan(&start)
	if err != nil || start == nil {
		return t, err
	}
	return start.UnixMilli(), nil
}
