package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
)

// Beside the list of devices, these are the statements that read more than one device: a site of many would wait for as many
// answers.
const (
	selectEnds = `select d.device_id, case when d.counted is null then 0 else coalesce(d.greatest_w, 0) end, f.start, l.start from devices d
	left join lateral (select start from rollups r where r.device_id = d.device_id and level = $2 order by start limit 1) f on true
	left join lateral (select start from rollups r where r.device_id = d.device_id and level = $2 order by start desc limit 1) l on true
	where d.device_id = any($1)`
	selectDays = `select device_id, start, packed from rollups where device_id = any($1) and level = $2 and start >= $3 and start < $4`
)

// Digests reads the ends before the days, and both before its caller reads anything else: what comes in between makes a digest
// that is never seen again.
func (p *Store) Digests(ctx context.Context, devices []string, from, to time.Time) (all []store.Digest, err error) {
	start := rollup.StartOf(rollup.DayLevel, clamp(from.UnixMilli()))
	of := make(map[string]*store.Digest, len(devices))
	err = p.db.Read(ctx, "digests", func(ctx context.Context, db database.Querier) error {
		all = make([]store.Digest, len(devices))
		for i, device := range devices {
			of[device] = &all[i]
		}
		if err := readEnds(ctx, db, devices, of); err != nil {
			return err
		}
		return readDays(ctx, db, devices, start, clamp(to.UnixMilli()), of)
	})
	for i := range all {
		slices.SortFunc(all[i].Days, func(a, b store.DayDigest) int { return cmp.Compare(a.Start, b.Start) })
		all[i] = *of[devices[i]] // one that is named twice
	}
	return all, err
}

func readEnds(ctx context.Context, db database.Querier, devices []string, of map[string]*store.Digest) error {
	rows, err := db.Query(ctx, selectEnds, devices, rollup.DayLevel)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var device string
		var greatest float64
		var first, last *time.Time
		if err := rows.Scan(&device, &greatest, &first, &last); err != nil {
			return err
		}
		if d := of[device]; first != nil && last != nil {
			d.First, d.Last, d.GreatestW = first.UnixMilli(), last.UnixMilli(), greatest
		}
	}
	return rows.Err()
}

func readDays(ctx context.Context, db database.Querier, devices []string, from, to int64, of map[string]*store.Digest) error {
	rows, err := db.Query(ctx, selectDays, devices, rollup.DayLevel, rollup.FromMS(from), rollup.FromMS(to))
	if err != nil {
		return err
	}
	defer rows.Close()
	var device string
	var start time.Time
	var packed pgtype.DriverBytes // not a copy: valid until the next row
	for rows.Next() {
		if err := rows.Scan(&device, &start, &packed); err != nil {
			return err
		}
		d := of[device]
		d.Days = append(d.Days, store.DayDigest{Start: start.UnixMilli(), Sum: rollup.DigestOf(packed)})
	}
	return rows.Err()
}
