package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func (p *Postgres) Prune(ctx context.Context, before time.Time) (deleted int64, err error) {
	devices, err := p.Devices(ctx)
	if err != nil {
		return 0, err
	}
	for _, d := range devices {
		// Whole base rows, and not the one with the newest sample: a device always has a latest one.
		limit := spanOf(baseLevel, clamp(min(before.UnixMilli(), d.Last.UnixMilli())))
		if d.Last.IsZero() || limit <= 0 {
			continue
		}
		var some int64
		if err := p.change(ctx, "prune", func(ctx context.Context, db querier) error {
			some, err = pruneDevice(ctx, db.(*pgxpool.Pool), d.ID, limit)
			return err
		}); err != nil {
			return deleted, err
		}
		deleted += some
	}
	return deleted, nil
}

// pruneDevice deletes some of the device's samples before limit, the oldest first. Where it stops inside a base row, that
// row has lost samples too: what the rollup says of it stays.
func pruneDevice(ctx context.Context, pool *pgxpool.Pool, device string, limit int64) (deleted int64, err error) {
	var old bool
	if err := pool.QueryRow(ctx, `select exists (select from samples where device_id = $1 and ts < $2)`, device, fromMS(limit)).Scan(&old); err != nil || !old {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockDevices, lockKeys([]string{device})); err != nil {
			return err
		}
		if err := computeBefore(ctx, tx, device, limit); err != nil { // the samples are what it is computed from
			return err
		}
		var last *time.Time
		if err := tx.QueryRow(ctx, `with gone as (
			delete from samples where device_id = $1 and ts in
				(select ts from samples where device_id = $1 and ts < $2 order by ts limit $3)
			returning ts) select count(*), max(ts) from gone`, device, fromMS(limit), pruneAtOnce).Scan(&deleted, &last); err != nil || last == nil {
			return err
		}
		end := spanOf(baseLevel, last.UnixMilli()) + spans[baseLevel]
		_, err := tx.Exec(ctx, `update devices set pruned = greatest(pruned, $2) where device_id = $1`, device, fromMS(end))
		return err
	})
	return deleted, err
}
