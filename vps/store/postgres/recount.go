package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/vps/energy"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
)

// countTime is how long reading the samples of a day may take: no request waits for it.
const countTime = time.Minute

func (p *Store) Recount(ctx context.Context) (days int, err error) {
	for {
		device, end, err := p.uncounted(ctx)
		if err != nil || device == "" {
			return 0, err
		}
		var c *rollup.DayCount
		if err := p.db.Within(ctx, max(countTime, p.callTime), "count a day again", func(ctx context.Context, open *database.Pools) error {
			c, err = countDay(ctx, open, device, end)
			return err
		}); err != nil {
			return 0, err
		}
		if err := p.db.Change(ctx, "store a day counted again", func(ctx context.Context, db database.Querier) error {
			return putCount(ctx, db, device, c)
		}); err != nil {
			return 0, err
		}
		if c.Start > 0 {
			return 1, nil
		}
	}
}

const selectCounted = `select coalesce(counted, 0) >= $2, case when counting = $2 then counted_from end from devices where device_id = $1`

// uncounted returns the next device of which something is to be counted again, and before when; "" for none. Which devices
// these may be is read once: those that come later are counted by today's rules.
func (p *Store) uncounted(ctx context.Context) (device string, end time.Time, err error) {
	p.mu.Lock()
	all := p.toRecount
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.toRecount = all
	}()
	if all == nil {
		if err := p.db.Read(ctx, "devices to count again", func(ctx context.Context, db database.Querier) error {
			_, all, err = readDevices(ctx, db)
			return err
		}); err != nil {
			return "", end, err
		}
	}
	for ; len(all) > 0; all = all[1:] {
		counted, from := false, (*time.Time)(nil)
		if err := p.db.Read(ctx, "how far a device is counted again", func(ctx context.Context, db database.Querier) error {
			return db.QueryRow(ctx, selectCounted, all[0], energy.PackVersion).Scan(&counted, &from)
		}); err != nil {
			return "", end, err
		}
		if !counted {
			if end = rollup.FromMS(lastMS + 1); from != nil {
				end = *from
			}
			return all[0], end, nil
		}
	}
	all = nil
	return "", end, nil
}

// countDay counts the newest day of a device before end.
func countDay(ctx context.Context, open *database.Pools, device string, end time.Time) (*rollup.DayCount, error) {
	c := &rollup.DayCount{}
	limit := fmt.Sprintf(`set local statement_timeout = %d`, countTime.Milliseconds())
	return c, database.Transact(ctx, open.Read, append(slices.Clone(open.ReadSettings), limit), func(ctx context.Context, db database.Querier) error {
		return readDay(ctx, db, device, end, c)
	})
}

// countSamples reads no other register than the one that energy.GreatestW uses: a hundred of them cost ten times
// as much.
var countSamples = `select ts, ` + fieldColumns + `, sample_count, poll_s,
	case when "values" -> 'nominal_power' is not null then jsonb_build_object('nominal_power', "values" -> 'nominal_power') end
	from samples where device_id = $1 and ts >= $2 and ts < $3 order by ts`

const (
	selectNewestBefore   = `select ts from samples where device_id = $1 and ts < $2 order by ts desc limit 1`
	selectRollupsBetween = `select 0, start, packed from rollups where device_id = $1 and level = $2 and start >= $3 and start < $4`
)

// readDay counts the newest day before end that has samples, and takes the greatest power of the days after it.
func readDay(ctx context.Context, db database.Querier, device string, end time.Time, into *rollup.DayCount) error {
	var newest time.Time
	err := db.QueryRow(ctx, selectNewestBefore, device, end).Scan(&newest)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if err == nil {
		into.Start = rollup.StartOf(rollup.DayLevel, newest.UnixMilli())
	}
	days, err := db.Query(ctx, selectRollupsBetween, device, rollup.DayLevel, rollup.FromMS(into.Start), end)
	if err != nil {
		return err
	}
	if err := scanRollups(days, false, func(_ int, _ int64, r *energy.Rollup, whole bool) { into.AddDay(r) }); err != nil || into.Start == 0 {
		return err
	}
	rows, err := db.Query(ctx, countSamples, device, rollup.FromMS(into.Start), rollup.FromMS(into.Start+rollup.Spans[rollup.DayLevel]))
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
		into.Add(&s)
	}
	return rows.Err()
}

const (
	markCounting = `update devices set greatest_w = greatest(greatest_w, $2), counting = $3, counted_from = $4 where device_id = $1`
	markCounted  = `update devices set greatest_w = greatest(greatest_w, $2), counted = $3, counting = null, counted_from = null
		where device_id = $1`
)

// putCount stores a day that was counted again, and the progress.
func putCount(ctx context.Context, db database.Querier, device string, c *rollup.DayCount) error {
	if err := lock(ctx, db, device); err != nil {
		return err
	}
	if err := replaceDay(ctx, db, device, c); err != nil {
		return err
	}
	if c.Start > 0 {
		_, err := db.Exec(ctx, markCounting, device, c.GreatestW, energy.PackVersion, rollup.FromMS(c.Start))
		return err
	}
	_, err := db.Exec(ctx, markCounted, device, c.GreatestW, energy.PackVersion)
	return err
}

// replaceDay replaces the rollups that are Old by what was counted, and computes the rows above.
func replaceDay(ctx context.Context, db database.Querier, device string, c *rollup.DayCount) error {
	g := &group{rollups: map[groupKey]*groupRollup{}, touched: map[groupKey][]*sampleRow{}}
	var day []rollup.Range
	for level := rollup.BaseLevel; level < rollup.DayLevel; level++ {
		day = append(day, rollup.Range{Level: level, From: c.Start, To: c.Start + rollup.Spans[rollup.DayLevel]})
	}
	rows, err := db.Query(ctx, selectRollups, rangeArgs(device, day)...)
	if err != nil {
		return err
	}
	if err := g.scanRollups(rows, device, day); err != nil {
		return err
	}
	for start := range c.Bases {
		k := groupKey{device, rollup.BaseLevel, start}
		if stored := g.rollups[k]; stored == nil || stored.broken || stored.pending {
			continue
		}
		if r := c.Replacement(start, &g.rollups[k].Rollup); r != nil {
			g.rollups[k] = &groupRollup{Rollup: *r, changed: true}
			g.touched[k] = nil
		}
	}
	return g.storeAbove(ctx, db, device)
}
