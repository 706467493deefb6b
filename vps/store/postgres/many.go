package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
)

// A site of many and the list of devices would wait for as many answers: these statements read of all of them at once. They are
// not sent to Citus, which has devices on several machines.
const (
	selectExtents = `select d.device_id, case when d.counted is null then 0 else coalesce(d.greatest_w, 0) end, f.packed, l.start, l.packed from devices d
	left join lateral (select packed from rollups r where r.device_id = d.device_id and level = $2 order by start limit 1) f on true
	left join lateral (select start, packed from rollups r where r.device_id = d.device_id and level = $2 order by start desc limit 1) l on true
	where d.device_id = any($1)`

	selectRollupsOf = `select s.n - 1, r.start, r.packed
	from unnest($1::text[], $2::smallint[], $3::timestamptz[], $4::timestamptz[]) with ordinality as s(device, at, low, high, n) cross join lateral
	(select start, packed from rollups where device_id = device and level = at and start >= low and start < high
	order by start offset 0) r order by s.n, r.start`

	// All statements of the transaction see the same moment.
	oneMoment = `set transaction isolation level repeatable read, read only`
)

// SurroundedOf reads devices together, but for those of which a rollup has to be computed first, or a counter looked for further
// away, or a sample read: these are few.
func (p *Store) SurroundedOf(ctx context.Context, devices []string, q store.Query) (all []store.Surroundings, err error) {
	if q, err = q.Valid(); err != nil {
		return nil, err
	}
	m := manyReader{devices: devices, q: q}
	err = p.db.Call(ctx, "surrounded", func(ctx context.Context, open *database.Pools) error {
		m.all = make([]oneOfMany, len(devices))
		if open.Distributed {
			for i := range m.all {
				m.all[i].alone = true
			}
			return nil
		}
		return database.Transact(ctx, open.Read, slices.Concat([]string{oneMoment}, open.ReadSettings), m.read)
	})
	if err != nil {
		return nil, err
	}
	all = make([]store.Surroundings, len(devices))
	for i := range m.all {
		one := &m.all[i]
		if !one.alone {
			all[i].Periods, all[i].Before, all[i].After, all[i].GreatestW = one.gatherer.Periods, one.gatherer.Sides[0], one.gatherer.Sides[1], one.greatestW
			continue
		}
		q.Device = devices[i]
		if all[i].Periods, all[i].Around, err = p.Surrounded(ctx, q); err != nil {
			return nil, err
		}
		if all[i].GreatestW, err = p.GreatestW(ctx, q.Device); err != nil { // of at least the samples that the rollups count
			return nil, err
		}
	}
	return all, nil
}

// manyReader answers one query of several devices.
type manyReader struct {
	devices []string
	q       store.Query
	all     []oneOfMany // by device
}

type oneOfMany struct {
	gatherer    *rollup.Gatherer
	greatestW   float64
	stored      bool  // has samples
	first, last int64 // of them, ms
	alone       bool  // to be read by itself
}

func (m *manyReader) read(ctx context.Context, db database.Querier) error {
	if err := m.readExtents(ctx, db); err != nil {
		return err
	}
	for i := range m.all {
		one, scope := &m.all[i], rollup.Scope{}
		if one.stored && !one.alone {
			scope = rollup.NewScope(m.q, one.first, one.last, true)
		}
		one.gatherer = rollup.NewGatherer(m.q, scope)
	}
	return m.readRollups(ctx, db)
}

func (m *manyReader) readExtents(ctx context.Context, db database.Querier) error {
	of := make(map[string]*oneOfMany, len(m.devices))
	for i, device := range m.devices {
		if of[device] != nil {
			m.all[i].alone = true // it is named twice
			continue
		}
		of[device] = &m.all[i]
	}
	rows, err := db.Query(ctx, selectExtents, m.devices, rollup.DayLevel)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var device string
		var greatest float64
		var lastDay *time.Time
		var first, last pgtype.DriverBytes
		if err := rows.Scan(&device, &greatest, &first, &lastDay, &last); err != nil {
			return err
		}
		one := of[device]
		if one.greatestW = greatest; lastDay == nil {
			continue
		}
		begin, _, whole := rollup.Known(first)
		end, _, wholeToo := rollup.Known(last)
		one.stored, one.alone = true, !whole || !wholeToo || begin.Rows == 0 || end.Rows == 0
		one.first, one.last = begin.First, end.Last
	}
	return rows.Err()
}

func (m *manyReader) readRollups(ctx context.Context, db database.Querier) error {
	var devices []string
	var ranges []rollup.Range
	var of []int // the device of each range
	for i := range m.all {
		one := &m.all[i]
		if !one.stored || one.alone {
			continue
		}
		plan := one.gatherer.Plan(m.q)
		if one.alone = slices.ContainsFunc(plan, func(r rollup.Range) bool { return r.Level == rollup.SamplesLevel }); one.alone {
			continue
		}
		for _, r := range plan {
			devices, ranges, of = append(devices, m.devices[i]), append(ranges, r), append(of, i)
		}
	}
	if len(ranges) > 0 {
		args := rangeArgs("", ranges)
		args[0] = devices
		rows, err := db.Query(ctx, selectRollupsOf, args...)
		if err != nil {
			return err
		}
		if err := scanRollups(rows, false, func(n int, _ int64, r *energy.Rollup, whole bool) {
			one := &m.all[of[n]]
			if one.alone = one.alone || !whole; !one.alone {
				one.gatherer.AddRow(ranges[n].Level, r)
			}
		}); err != nil {
			return err
		}
	}
	for i := range m.all {
		one := &m.all[i]
		if !one.stored || one.alone {
			continue
		}
		one.gatherer.End()
		one.gatherer.Wider(one.first, one.last, func(t int64, _ bool, _ int) int64 {
			one.alone = true
			return t
		})
	}
	return nil
}
