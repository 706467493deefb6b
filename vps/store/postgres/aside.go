package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
)

const (
	lockAside        = `select coalesce(aside, 0) from devices where device_id = $1 for update`
	selectAsideKnown = `select hash from set_aside where device_id = $1 and hash = any($2::bytea[])`
	countAside       = `select count(*) from set_aside where device_id = $1`
	insertAside      = `insert into set_aside (device_id, number, hash, received_at, code, sample)
		select d.device_id, new.* from devices d cross join unnest($2::bigint[], $3::bytea[], $4::timestamptz[], $5::text[], $6::text[]) as new
		where d.device_id = $1`
	markAside   = `update devices set aside = $2 where device_id = $1`
	selectAside = `select number, received_at, code, sample from set_aside where device_id = $1 and number > $2 order by number limit $3`
	deleteAside = `delete from set_aside where device_id = $1 and number <= $2`
)

func (p *Store) SetAside(ctx context.Context, device string, samples []store.Aside) (added []store.Aside, err error) {
	full := false
	err = p.db.Change(ctx, "set aside", func(ctx context.Context, db database.Querier) (err error) {
		added, full, err = setAside(ctx, db, device, samples)
		return err
	})
	if err == nil && full {
		return nil, fmt.Errorf("device %q: %w", device, store.ErrAsideFull)
	}
	return added, err
}

// setAside numbers and inserts the samples that are not there yet, or none if they are too many, under a lock of the device's row.
func setAside(ctx context.Context, tx database.Querier, device string, samples []store.Aside) (added []store.Aside, full bool, err error) {
	if _, err := tx.Exec(ctx, addDevice, device, energy.PackVersion); err != nil {
		return nil, false, err
	}
	var last int64
	if err := tx.QueryRow(ctx, lockAside, device).Scan(&last); err != nil {
		return nil, false, err
	}
	_, keys := store.UniqueAside(samples, func(store.AsideKey) bool { return false })
	rows, err := tx.Query(ctx, selectAsideKnown, device, keysAsBytes(keys))
	if err != nil {
		return nil, false, err
	}
	known := map[store.AsideKey]bool{}
	var hash []byte
	if _, err := pgx.ForEachRow(rows, []any{&hash}, func() error {
		var k store.AsideKey
		copy(k[:], hash)
		known[k] = true
		return nil
	}); err != nil {
		return nil, false, err
	}
	some, keys := store.UniqueAside(samples, func(k store.AsideKey) bool { return known[k] })
	if len(some) == 0 {
		return nil, false, nil
	}
	var count int
	if err := tx.QueryRow(ctx, countAside, device).Scan(&count); err != nil {
		return nil, false, err
	}
	if count+len(some) > store.MaxAside {
		return nil, true, nil
	}
	for i := range some {
		last++
		some[i].Number = last
	}
	if err := putAside(ctx, tx, device, some, keys); err != nil {
		return nil, false, err
	}
	_, err = tx.Exec(ctx, markAside, device, last)
	return some, false, err
}

// putAside inserts samples that have numbers.
func putAside(ctx context.Context, tx database.Querier, device string, some []store.Aside, keys []store.AsideKey) error {
	numbers, times, codes, texts := make([]int64, len(some)), make([]time.Time, len(some)), make([]string, len(some)), make([]string, len(some))
	for i := range some {
		numbers[i], times[i], codes[i], texts[i] = some[i].Number, some[i].Received, some[i].Code, string(some[i].JSON)
	}
	tag, err := tx.Exec(ctx, insertAside, device, numbers, keysAsBytes(keys), times, codes, texts)
	if err == nil && tag.RowsAffected() != int64(len(some)) {
		err = fmt.Errorf("set aside: %d of %d rows inserted", tag.RowsAffected(), len(some))
	}
	return err
}

func keysAsBytes(keys []store.AsideKey) [][]byte {
	all := make([][]byte, len(keys))
	for i := range keys {
		all[i] = keys[i][:]
	}
	return all
}

func (p *Store) Aside(ctx context.Context, device string, after int64, limit int) (all []store.Aside, err error) {
	err = p.db.Read(ctx, "what is set aside", func(ctx context.Context, db database.Querier) error {
		all, err = readAside(ctx, db, device, after, limit)
		return err
	})
	return all, err
}

func readAside(ctx context.Context, db database.Querier, device string, after int64, limit int) ([]store.Aside, error) {
	rows, err := db.Query(ctx, selectAside, device, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s store.Aside, err error) {
		err = row.Scan(&s.Number, &s.Received, &s.Code, &s.JSON)
		s.Received = s.Received.UTC()
		return s, err
	})
}

func (p *Store) DeleteAside(ctx context.Context, device string, to int64) (deleted int64, err error) {
	err = p.db.Change(ctx, "delete what is set aside", func(ctx context.Context, db database.Querier) error {
		tag, err := db.Exec(ctx, deleteAside, device, to)
		deleted = tag.RowsAffected()
		return err
	})
	return deleted, err
}
