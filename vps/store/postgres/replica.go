package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// Replica is a database that is read or filled as a whole, see store.Replica. Servers may use it meanwhile: one that is only read
// is read as it was at one moment, and what is filled is locked by device, as by an insert.
type Replica struct {
	conn *database.Conn
}

var _ store.Replica = &Replica{}

// OpenRows connects to the database at url to read it, in one transaction, which is a snapshot of it. With Citus each machine has a
// snapshot of its own.
func OpenRows(ctx context.Context, url string) (*Replica, error) { return openReplica(ctx, url, true) }

// OpenReplica connects to the database at url, and makes the tables in it.
func OpenReplica(ctx context.Context, url string) (*Replica, error) {
	return openReplica(ctx, url, false)
}

func openReplica(ctx context.Context, url string, readOnly bool) (*Replica, error) {
	config, err := database.ParseURL(url, database.CallTime)
	if err != nil {
		return nil, err
	}
	conn, err := database.Connect(ctx, config, readOnly, deviceStatements(), slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &Replica{conn}, nil
}

// Damaged returns 0: PostgreSQL does not return a row that it finds damaged, but an error.
func (*Replica) Damaged() uint64 { return 0 }

// Close closes the connection.
func (r *Replica) Close() error { return r.conn.Close(context.Background()) }

// selectStates reads all devices, as selectDevices does.
const selectStates = `select device_id, about, coalesce(greatest_w, 0), pruned, coalesce(counted, 0), coalesce(counting, 0), counted_from, coalesce(aside, 0)
	from devices order by device_id collate "C"`

// States is that of store.Rows.
func (r *Replica) States(ctx context.Context) (all []store.State, err error) {
	rows, err := r.conn.Query(ctx, selectStates)
	if err != nil {
		return nil, r.conn.Explain("devices", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s store.State
		var about []byte
		var pruned, from *time.Time
		var counted, counting int16
		if err := rows.Scan(&s.Device, &about, &s.GreatestW, &pruned, &counted, &counting, &from, &s.Aside); err != nil {
			return nil, r.conn.Explain("devices", err)
		}
		if about != nil {
			if err := json.Unmarshal(about, &s.About); err != nil {
				return nil, fmt.Errorf("about device %q: %w", s.Device, err)
			}
		}
		s.Counted, s.Counting, s.Pruned, s.CountedFrom = int(counted), int(counting), orZero(pruned).UTC(), orZero(from).UTC()
		all = append(all, s)
	}
	return all, r.conn.Explain("devices", rows.Err())
}

const (
	selectAllRollups  = `select level, start, packed from rollups where device_id = $1`
	selectSampleDays  = `select date_bin('1 day', ts, '1970-01-01 00:00:00Z') as day, count(*), min(ts), max(ts) from samples where device_id = $1 group by 1`
	selectDayRollups  = `select level, start, packed from rollups where device_id = $1 and level between 1 and 4 and start >= $2 and start < $3 order by level, start`
	existsInDay       = `select exists (select from samples where device_id = $1 and ts >= $2 and ts < $3)`
	deleteInDay       = `delete from samples where device_id = $1 and ts >= $2 and ts < $3`
	deleteDayRollups  = `delete from rollups where device_id = $1 and level between 1 and 4 and start >= $2 and start < $3`
	deleteDeviceAside = `delete from set_aside where device_id = $1`
	putState          = `insert into devices (device_id, about, greatest_w, pruned, counted, counting, counted_from, aside)
		values ($1, $2::text::jsonb, nullif($3::double precision, 0), $4, nullif($5::smallint, 0), nullif($6::smallint, 0), $7, nullif($8::bigint, 0))
		on conflict (device_id) do update set about = excluded.about, greatest_w = excluded.greatest_w, pruned = excluded.pruned,
		counted = excluded.counted, counting = excluded.counting, counted_from = excluded.counted_from, aside = excluded.aside`
)

var (
	selectAllSamples = selectSamples + ` where device_id = $1`
	selectDaySamples = selectSamples + ` where device_id = $1 and ts >= $2 and ts < $3 order by ts`

	// insertNew is for a time that has no samples, of a device that is locked.
	insertNew = insertFrom(newSamplesAtOnce)
)

// Days is that of store.Rows.
func (r *Replica) Days(ctx context.Context, device string, values bool) ([]store.DayRows, error) {
	days := store.NewDays()
	if err := r.eachRollup(ctx, func(row store.RollupRow) {
		p, _, _ := rollup.Known(row.Packed)
		days.AddRollup(rollup.StartOf(rollup.DayLevel, row.Start), row, row.Level == rollup.DayLevel, p.Rows)
	}, device, selectAllRollups); err != nil {
		return nil, err
	}
	if values {
		err := r.eachSample(ctx, device, func(s *wire.Sample) error {
			at := s.Time.UnixMilli()
			days.AddSample(rollup.StartOf(rollup.DayLevel, at), at, s)
			return nil
		}, selectAllSamples)
		return days.Sorted(), err
	}
	rows, err := r.conn.Query(ctx, selectSampleDays, device)
	if err != nil {
		return nil, r.conn.Explain("days", err)
	}
	defer rows.Close()
	for rows.Next() {
		var day, first, last time.Time
		var n int64
		if err := rows.Scan(&day, &n, &first, &last); err != nil {
			return nil, r.conn.Explain("days", err)
		}
		days.AddSamples(day.UnixMilli(), n, first.UnixMilli(), last.UnixMilli())
	}
	return days.Sorted(), r.conn.Explain("days", rows.Err())
}

// eachRollup calls yield with the rollups that a statement selects. Those that this version cannot read are computed.
func (r *Replica) eachRollup(ctx context.Context, yield func(store.RollupRow), device, sql string, args ...any) error {
	rows, err := r.conn.Query(ctx, sql, append([]any{device}, args...)...)
	if err != nil {
		return r.conn.Explain("rollups", err)
	}
	defer rows.Close()
	var broken []store.RollupRow
	var check energy.Rollup
	for rows.Next() {
		var level int16
		var start time.Time
		var packed []byte
		if err := rows.Scan(&level, &start, &packed); err != nil {
			return r.conn.Explain("rollups", err)
		}
		row := store.RollupRow{Level: int(level), Start: start.UnixMilli(), Packed: packed}
		if _, pending := energy.ReadPending(packed); !pending && !check.Read(packed) {
			broken = append(broken, row)
			continue
		}
		yield(row)
	}
	if err := rows.Err(); err != nil {
		return r.conn.Explain("rollups", err)
	}
	for _, row := range broken {
		made, err := derive(ctx, r.conn, device, row.Level, row.Start, nil)
		if err != nil {
			return r.conn.Explain("rollups", err)
		}
		row.Packed = made.Append(nil)
		yield(row)
	}
	return nil
}

// eachSample calls yield with the samples that a statement selects.
func (r *Replica) eachSample(ctx context.Context, device string, yield func(*wire.Sample) error, sql string, args ...any) error {
	rows, err := r.conn.Query(ctx, sql, append([]any{device}, args...)...)
	if err != nil {
		return r.conn.Explain("samples", err)
	}
	defer rows.Close()
	scanner := newSampleScanner()
	for rows.Next() {
		s, err := scanner.scan(rows, device)
		if err != nil {
			return r.conn.Explain("samples", err)
		}
		if err := yield(&s); err != nil {
			return err
		}
	}
	return r.conn.Explain("samples", rows.Err())
}

// EachRow is that of store.Rows.
func (r *Replica) EachRow(ctx context.Context, device string, day int64, yield func([]wire.Sample, []store.RollupRow) error) error {
	from, to := rollup.FromMS(day), rollup.FromMS(day+rollup.Spans[rollup.DayLevel])
	var some []wire.Sample
	if err := r.eachSample(ctx, device, func(s *wire.Sample) error {
		if some = append(some, *s); len(some) < store.CopiedAtOnce {
			return nil
		}
		defer func() { some = nil }()
		return yield(some, nil)
	}, selectDaySamples, from, to); err != nil {
		return err
	}
	if len(some) > 0 {
		if err := yield(some, nil); err != nil {
			return err
		}
	}
	rows := []store.RollupRow{}
	if err := r.eachRollup(ctx, func(row store.RollupRow) { rows = append(rows, row) }, device, selectDayRollups, from, to); err != nil {
		return err
	}
	return yield(nil, rows)
}

// Aside is that of store.Rows.
func (r *Replica) Aside(ctx context.Context, device string, after int64, limit int) ([]store.Aside, error) {
	all, err := readAside(ctx, r.conn, device, after, limit)
	return all, r.conn.Explain("what is set aside", err)
}

// Tokens is that of store.Rows.
func (r *Replica) Tokens(ctx context.Context) ([]store.Token, error) {
	all, err := readTokens(ctx, r.conn)
	return all, r.conn.Explain("tokens", err)
}

// Sites is that of store.Rows.
func (r *Replica) Sites(ctx context.Context) ([]store.Site, error) {
	all, err := readSites(ctx, r.conn)
	return all, r.conn.Explain("sites", err)
}
