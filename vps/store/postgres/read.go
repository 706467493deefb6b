package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// rangeArgs are a device and its ranges as arrays, the parameters of ranges.
func rangeArgs(device string, all []rollup.Range) []any {
	levels := make([]int16, len(all))
	from, to := make([]time.Time, len(all)), make([]time.Time, len(all))
	for i, s := range all {
		levels[i], from[i], to[i] = int16(s.Level), rollup.FromMS(s.From), rollup.FromMS(s.To)
	}
	return []any{device, levels, from, to}
}

// One query for all ranges of a device: each is a range of the primary key. OFFSET 0 keeps the planner from turning that into
// anything else. The device is a parameter of its own, so that Citus sends all of it to the one shard.
const ranges = `from unnest($2::smallint[], $3::timestamptz[], $4::timestamptz[])
	with ordinality as s(at, low, high, n) cross join lateral `

const selectRollups = `select s.n - 1, r.start, r.packed ` + ranges + `
	(select start, packed from rollups where device_id = $1 and level = at and start >= low and start < high
	order by start offset 0) r order by s.n, r.start`

// selectAbove is selectRollups for one range of base rows, one of hours and one of four hours. With the level in the
// statement only one partition is looked at for each.
const selectAbove = `select 0, start, packed from rollups where device_id = $1 and level = 1 and start >= $2 and start < $3
	union all select 1, start, packed from rollups where device_id = $1 and level = 2 and start >= $4 and start < $5
	union all select 2, start, packed from rollups where device_id = $1 and level = 3 and start >= $6 and start < $7`

// queueRollups queues the query of the rollups that spansAbove returned.
func queueRollups(b *pgx.Batch, device string, spans []rollup.Range) *pgx.QueuedQuery {
	if len(spans) != rollup.DayLevel-rollup.BaseLevel {
		return b.Queue(selectRollups, rangeArgs(device, spans)...)
	}
	args := []any{device}
	for _, s := range spans { // one of each level, ascending
		args = append(args, rollup.FromMS(s.From), rollup.FromMS(s.To))
	}
	return b.Queue(selectAbove, args...)
}

var selectSamplesOf = `select s.n - 1, r.* ` + ranges + `
	(select ts, ` + fieldColumns + `, sample_count, poll_s, null::jsonb from samples where device_id = $1 and ts >= low and ts < high
	order by ts offset 0) r order by s.n, r.ts`

const countRanges = `select s.n - 1, r.stored ` + ranges + `
	(select count(*) as stored from samples where device_id = $1 and ts >= low and ts < high) r`

// scanRollups calls yield with each rollup and the index of its range. One that was packed by another version of this
// program is not whole, nor is one that is pending: of that, the number and the times of samples are known. Yield must not
// keep its pointer: the next row is in the same place.
func scanRollups(rows pgx.Rows, powers bool, yield func(n int, start int64, r *energy.Rollup, whole bool)) error {
	defer rows.Close()
	var n int
	var start time.Time
	var packed pgtype.DriverBytes // not a copy: valid until the next row
	var r energy.Rollup
	for rows.Next() {
		if err := rows.Scan(&n, &start, &packed); err != nil {
			return err
		}
		read := r.Read
		if powers {
			read = r.ReadPowers
		}
		whole := read(packed)
		if !whole {
			p, _ := energy.ReadPending(packed)
			r = energy.Rollup{Rows: p.Rows, First: p.First, Last: p.Last}
		}
		yield(n, start.UnixMilli(), &r, whole)
	}
	return rows.Err()
}

// readRanges calls yield with the fields of each sample in the ranges and the index of its range.
func readRanges(ctx context.Context, db database.Querier, device string, all []rollup.Range, yield func(n int, s *wire.Sample)) error {
	rows, err := db.Query(ctx, selectSamplesOf, rangeArgs(device, all)...)
	if err != nil {
		return err
	}
	return scanRanges(rows, yield)
}

func scanRanges(rows pgx.Rows, yield func(n int, s *wire.Sample)) error {
	defer rows.Close()
	var n int
	scanner := newSampleScanner(&n)
	for rows.Next() {
		s, err := scanner.scan(rows, "")
		if err != nil {
			return err
		}
		yield(n, &s)
	}
	return rows.Err()
}

const selectExtent = `select 0, start, packed from
	((select start, packed from rollups where device_id = $1 and level = $2 order by start limit 1)
	union all
	(select start, packed from rollups where device_id = $1 and level = $2 order by start desc limit 1)) r`

// extent returns the times of the first and the last sample that the rollups count.
func extent(ctx context.Context, db database.Querier, device string) (first, last int64, ok bool, err error) {
	rows, err := db.Query(ctx, selectExtent, device, rollup.DayLevel)
	if err != nil {
		return 0, 0, false, err
	}
	broken := []int64{}
	widen := func(r *energy.Rollup) {
		if r.Rows == 0 {
			return
		}
		if !ok {
			first, last, ok = r.First, r.Last, true
		}
		first, last = min(first, r.First), max(last, r.Last)
	}
	err = scanRollups(rows, false, func(_ int, start int64, r *energy.Rollup, whole bool) {
		if !whole && r.Rows == 0 {
			broken = append(broken, start)
		}
		widen(r)
	})
	for _, start := range broken {
		if err == nil {
			var r energy.Rollup
			r, err = derive(ctx, db, device, rollup.DayLevel, start, nil)
			widen(&r)
		}
	}
	return first, last, ok, err
}

// derive computes a row from the rows below it. It calls notePending, unless that is nil, with the base rows that are pending.
func derive(ctx context.Context, db database.Querier, device string, level int, start int64, notePending func(start int64)) (r energy.Rollup, err error) {
	below := []rollup.Range{{Level: level - 1, From: start, To: start + rollup.Spans[level]}}
	if level == rollup.BaseLevel {
		err = readRanges(ctx, db, device, below, func(_ int, s *wire.Sample) { r.Add(s) })
		return r, err
	}
	rows, err := db.Query(ctx, selectRollups, rangeArgs(device, below)...)
	if err != nil {
		return r, err
	}
	type row struct {
		start int64
		energy.Rollup
		whole bool
	}
	var all []row
	if err := scanRollups(rows, false, func(_ int, start int64, r *energy.Rollup, whole bool) {
		all = append(all, row{start, *r, whole})
	}); err != nil {
		return r, err
	}
	var sum energy.Sum
	for i := range all {
		row := &all[i]
		if !row.whole {
			if notePending != nil && level == rollup.HourLevel && row.Rows > 0 {
				notePending(row.start)
			}
			if row.Rollup, err = derive(ctx, db, device, level-1, row.start, notePending); err != nil {
				return r, err
			}
		}
		rollup.AddRow(&sum, level-1, &row.Rollup)
	}
	return sum.Rollup(), nil
}

// selectDevices is, beside selectStates, those of digests and those of SurroundedOf, the only statement that reads more than one
// device.
const selectDevices = `select d.device_id, d.about, coalesce(d.counted, 0) < $2, f.start, f.packed, l.ts from devices d
	left join lateral (select start, packed from rollups r where r.device_id = d.device_id and level = $1 order by start limit 1) f on true
	left join lateral (select ts from samples s where s.device_id = d.device_id order by ts desc limit 1) l on true
	order by d.device_id`

// readDevices reads one row of each device by its key. The first sample is that of the first day's rollup, because the sample
// itself may be pruned; the newest never is. It also returns the names of those whose rollups must be counted again.
func readDevices(ctx context.Context, db database.Querier) (all []store.Device, uncounted []string, err error) {
	rows, err := db.Query(ctx, selectDevices, rollup.DayLevel, energy.PackVersion)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	type day struct {
		of    int // index in all
		start int64
	}
	var broken []day
	for rows.Next() {
		var d store.Device
		var about, packed []byte
		var old bool
		var start, last *time.Time
		if err := rows.Scan(&d.ID, &about, &old, &start, &packed, &last); err != nil {
			return nil, nil, err
		}
		if old {
			uncounted = append(uncounted, d.ID)
		}
		if about != nil {
			if err := json.Unmarshal(about, &d.About); err != nil {
				return nil, nil, fmt.Errorf("about device %q: %w", d.ID, err)
			}
		}
		if last != nil {
			d.Last = rollup.FromMS(last.UnixMilli())
		}
		if start != nil {
			if p, _, ok := rollup.Known(packed); ok {
				d.First = rollup.FromMS(p.First)
			} else {
				broken = append(broken, day{len(all), start.UnixMilli()})
			}
		}
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	for _, b := range broken {
		r, err := derive(ctx, db, all[b.of].ID, rollup.DayLevel, b.start, nil)
		if err != nil {
			return nil, nil, err
		}
		all[b.of].First = rollup.FromMS(r.First)
	}
	return all, uncounted, nil
}
