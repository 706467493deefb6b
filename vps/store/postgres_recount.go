package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/vps/energy"
)

// countTime is how long the samples of a day may take to be read: nobody waits for it.
const countTime = time.Minute

func (p *Postgres) Recount(ctx context.Context) (days int, err error) {
	for {
		device, end, err := p.uncounted(ctx)
		if err != nil || device == "" {
			return 0, err
		}
		var c *dayCount
		if err := p.within(ctx, max(countTime, p.callTime), "count a day anew", (*pools).forReading, func(ctx context.Context, db querier) error {
			c, err = countDay(ctx, db.(*pgxpool.Pool), device, end)
			return err
		}); err != nil {
			return 0, err
		}
		if err := p.change(ctx, "store a day counted anew", func(ctx context.Context, db querier) error {
			return putCount(ctx, db.(*pgxpool.Pool), device, c)
		}); err != nil {
			return 0, err
		}
		if c.start > 0 {
			return 1, nil
		}
	}
}

// uncounted returns the next device of which something is to be counted anew, and before when; "" for none.
func (p *Postgres) uncounted(ctx context.Context) (device string, end time.Time, err error) {
	err = p.read(ctx, "devices to count anew", func(ctx context.Context, db querier) error {
		var from *time.Time
		err := db.QueryRow(ctx, `select device_id, case when counting = $1 then counted_from end from devices
			where coalesce(counted, 0) < $1 order by device_id limit 1`, energy.PackVersion).Scan(&device, &from)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if end = fromMS(lastMS + 1); from != nil {
			end = *from
		}
		return err
	})
	return device, end, err
}

// countDay counts the newest day of a device before end.
func countDay(ctx context.Context, pool *pgxpool.Pool, device string, end time.Time) (*dayCount, error) {
	c := &dayCount{}
	return c, pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf(`set local statement_timeout = %d`, countTime.Milliseconds())); err != nil {
			return err
		}
		return readDay(ctx, tx, device, end, c)
	})
}

// countSamples asks for no other register than the one that energy.GreatestW looks at: a hundred of them cost ten times
// as much.
var countSamples = `select ts, ` + fieldColumns + `, sample_count, poll_s,
	case when "values" -> 'nominal_power' is not null then jsonb_build_object('nominal_power', "values" -> 'nominal_power') end
	from samples where device_id = $1 and ts >= $2 and ts < $3 order by ts`

// readDay counts the newest day before end that has samples, and takes what the days after it know of powers.
func readDay(ctx context.Context, db querier, device string, end time.Time, into *dayCount) error {
	var newest time.Time
	err := db.QueryRow(ctx, `select ts from samples where device_id = $1 and ts < $2 order by ts desc limit 1`, device, end).Scan(&newest)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if err == nil {
		into.start = spanOf(dayLevel, newest.UnixMilli())
	}
	days, err := db.Query(ctx, `select 0, start, packed from rollups where device_id = $1 and level = $2 and start >= $3 and start < $4`,
		device, dayLevel, fromMS(into.start), end)
	if err != nil {
		return err
	}
	if err := scanRollups(days, false, func(_ int, _ int64, r *energy.Rollup, whole bool) { into.addDay(r) }); err != nil || into.start == 0 {
		return err
	}
	rows, err := db.Query(ctx, countSamples, device, fromMS(into.start), fromMS(into.start+spans[dayLevel]))
	if err != nil {
		return err
	}
	defer rows.Close()
	scanner := newSampleScanner()
	for rows.Next() {
		s, err := scanner.scan(rows, device)
		if err != nil {
			return err
		}
		into.add(&s)
	}
	return rows.Err()
}

// putCount stores a day that was counted anew, and that it is.
func putCount(ctx context.Context, pool *pgxpool.Pool, device string, c *dayCount) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockDevices, lockKeys([]string{device})); err != nil {
			return err
		}
		if err := replaceDay(ctx, tx, device, c); err != nil {
			return err
		}
		if c.start > 0 {
			_, err := tx.Exec(ctx, `update devices set greatest_w = greatest(greatest_w, $2), counting = $3, counted_from = $4 where device_id = $1`,
				device, c.greatestW, energy.PackVersion, fromMS(c.start))
			return err
		}
		_, err := tx.Exec(ctx, `update devices set greatest_w = greatest(greatest_w, $2), counted = $3, counting = null, counted_from = null
			where device_id = $1`, device, c.greatestW, energy.PackVersion)
		return err
	})
}

// replaceDay puts what was counted in the place of what is Old, and computes the rows above.
func replaceDay(ctx context.Context, tx pgx.Tx, device string, c *dayCount) error {
	g := &group{rollups: map[groupKey]*groupRollup{}, touched: map[groupKey][]*pgRow{}}
	for level := baseLevel; level < dayLevel; level++ {
		g.spans = append(g.spans, deviceStretch{device, stretch{level, c.start, c.start + spans[dayLevel]}})
	}
	rows, err := tx.Query(ctx, selectRollups, stretchArgs(g.spans)...)
	if err != nil {
		return err
	}
	if err := g.scanRollups(rows); err != nil {
		return err
	}
	for start := range c.bases {
		k := groupKey{device, baseLevel, start}
		if stored := g.rollups[k]; stored == nil || stored.broken || stored.pending {
			continue
		}
		if r := c.replacement(start, &g.rollups[k].Rollup); r != nil {
			g.rollups[k] = &groupRollup{Rollup: *r, changed: true}
			g.touched[k] = nil
		}
	}
	if len(g.touched) == 0 {
		return nil
	}
	if err := g.repair(ctx, tx.Conn()); err != nil {
		return err
	}
	g.sumUp()
	_, err = tx.Exec(ctx, upsertRollups, g.changedRollups()...)
	return err
}
