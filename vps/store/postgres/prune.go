package postgres

import (
	"context"
	"fmt"
	"time"

	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
)

func (p *Store) Prune(ctx context.Context, before time.Time) (deleted int64, err error) {
	devices, err := p.Devices(ctx)
	if err != nil {
		return 0, err
	}
	for _, d := range devices {
		// Whole base rows, and not the one with the newest sample: a device always has a latest one.
		limit := rollup.StartOf(rollup.BaseLevel, clamp(min(before.UnixMilli(), d.Last.UnixMilli())))
		if d.Last.IsZero() || limit <= 0 {
			continue
		}
		var some int64
		if err := p.db.Call(ctx, "prune", func(ctx context.Context, open *database.Pools) error {
			return database.Transact(ctx, open.Write, open.PruneSettings, func(ctx context.Context, db database.Querier) error {
				some, err = pruneDevice(ctx, db, d.ID, limit)
				return err
			})
		}); err != nil {
			return deleted, err
		}
		deleted += some
	}
	return deleted, nil
}

const (
	hasOlder = `select exists (select from samples where device_id = $1 and ts < $2)`

	// selectBorder finds what is deleted at once, from when to when. TimescaleDB unpacks whatever a condition on time alone
	// does not exclude, and refuses to unpack much: hence the border first, and then a delete that names it.
	selectBorder  = `select min(ts), max(ts) from (select ts from samples where device_id = $1 and ts < $2 order by ts limit $3) oldest`
	deleteSamples = `delete from samples where device_id = $1 and ts <= $2`
	markPruned    = `update devices set pruned = greatest(pruned, $2) where device_id = $1`
)

// pruneDevice deletes some of the device's samples before limit, the oldest first. Where it stops inside a base row, that
// row has lost samples too: what the rollup counts of it stays.
func pruneDevice(ctx context.Context, db database.Querier, device string, limit int64) (deleted int64, err error) {
	var old bool
	if err := db.QueryRow(ctx, hasOlder, device, rollup.FromMS(limit)).Scan(&old); err != nil || !old {
		return 0, err
	}
	if err := lock(ctx, db, device); err != nil {
		return 0, err
	}
	var first, last *time.Time
	if err := db.QueryRow(ctx, selectBorder, device, rollup.FromMS(limit), rollup.PruneAtOnce).Scan(&first, &last); err != nil || last == nil {
		return 0, err
	}
	if err := computeBetween(ctx, db, device, *first, *last); err != nil { // these samples are what it is computed from
		return 0, err
	}
	gone, err := db.Exec(ctx, deleteSamples, device, *last)
	if err != nil {
		return 0, err
	}
	_, err = db.Exec(ctx, markPruned, device, rollup.FromMS(rollup.StartOf(rollup.BaseLevel, last.UnixMilli())+rollup.Spans[rollup.BaseLevel]))
	return gone.RowsAffected(), err
}

// lock is lockDevice for transactions that are not inserts.
func lock(ctx context.Context, db database.Querier, device string) error {
	got, err := db.Exec(ctx, lockDevice, device)
	if err == nil && got.RowsAffected() == 0 {
		err = fmt.Errorf("device %q: %w", device, errNoDevice)
	}
	return err
}
