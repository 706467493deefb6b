package store

import (
	"context"
	"time"

	"sunspool/vps/energy"
	"sunspool/wire"
)

func (p *Postgres) Periods(ctx context.Context, q Query) ([]energy.Period, error) {
	g, err := p.gather(ctx, q, false)
	if err != nil {
		return nil, err
	}
	return g.periods, nil
}

func (p *Postgres) Surrounded(ctx context.Context, q Query) ([]energy.Period, energy.Around, error) {
	g, err := p.gather(ctx, q, true)
	if err != nil {
		return nil, energy.Around{}, err
	}
	return g.periods, energy.Around{Before: g.sides[0], After: g.sides[1]}, nil
}

func (p *Postgres) gather(ctx context.Context, q Query, around bool) (g *gatherer, err error) {
	if q, err = q.valid(); err != nil {
		return nil, err
	}
	err = p.db.Read(ctx, "periods", func(ctx context.Context, db querier) error {
		r := periodsReader{ctx: ctx, db: db, q: q, repaired: map[rollupKey]energy.Rollup{}, powers: !around,
			met: func(start int64) { p.repairs.note(spanKey{device: q.Device, start: start}) }}
		g, err = r.gather(around)
		return err
	})
	return g, err
}

// periodsReader answers one question about periods.
type periodsReader struct {
	ctx      context.Context
	db       querier
	q        Query
	repaired map[rollupKey]energy.Rollup // rows that are pending or of another version
	powers   bool                        // rollups are read without their counters
	met      func(start int64)           // is called with base rows that are pending
}

// rollupKey names a row of the rollups of one device.
type rollupKey struct {
	level int
	start int64
}

func (r *periodsReader) gather(around bool) (*gatherer, error) {
	first, last, ok, err := extent(r.ctx, r.db, r.q.Device)
	if err != nil || !ok {
		return newGatherer(r.q, scope{}), err
	}
	g, err := r.inScope(scopeOf(r.q, first, last, around))
	if err != nil || !around {
		return g, err
	}
	scope, wider := g.wider(first, last, func(t int64, back bool, n int) int64 {
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

func (r *periodsReader) inScope(s scope) (*gatherer, error) {
	all := s.plan(r.q.Resolution, r.q.Zone)
	for {
		g := newGatherer(r.q, s)
		broken, err := r.rows(all, g)
		if err != nil {
			return nil, err
		}
		if len(broken) == 0 {
			g.done()
			return g, nil
		}
		for _, k := range broken { // inserts replace them one by one
			if r.repaired[k], err = derive(r.ctx, r.db, r.q.Device, k.level, k.start, r.met); err != nil {
				return nil, err
			}
		}
	}
}

// rows gives the rows of the plan to g as they come. What must be repaired first it returns; then g is of no use.
func (r *periodsReader) rows(all []stretch, g *gatherer) (broken []rollupKey, err error) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && (all[n].level == samplesLevel) == (all[0].level == samplesLevel) {
			n++
		}
		some := all[:n]
		all = all[n:]
		if some[0].level == samplesLevel {
			if err := readStretches(r.ctx, r.db, r.q.Device, some, func(_ int, s *wire.Sample) { g.sample(s) }); err != nil {
				return nil, err
			}
			continue
		}
		rows, err := r.db.Query(r.ctx, selectRollups, stretchArgs(r.q.Device, some)...)
		if err != nil {
			return nil, err
		}
		if err := scanRollups(rows, r.powers, func(n int, start int64, row *energy.Rollup, whole bool) {
			if !whole {
				k := rollupKey{some[n].level, start}
				pending := row.Rows > 0
				if *row, whole = r.repaired[k]; !whole {
					broken = append(broken, k)
					if pending && k.level == baseLevel {
						r.met(start)
					}
				}
			}
			g.row(some[n].level, row)
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

// dayBeside is device.dayBeside.
func (r *periodsReader) dayBeside(t int64, back bool, n int) (found int64, err error) {
	beside := selectDayAfter
	if back {
		beside = selectDayBefore
	}
	var start *time.Time
	err = r.db.QueryRow(r.ctx, beside, r.q.Device, dayLevel, fromMS(t), n).Scan(&start)
	if err != nil || start == nil {
		return t, err
	}
	return start.UnixMilli(), nil
}
