package importer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/health"
	"sunspool/vps/energy"
	"sunspool/vps/store/postgres/database"
	"sunspool/wire"
)

// Original reads the database of the Python server, which this one replaces: the table sungrow_samples with its
// columns, one row a sample, keyed by device and time. Nothing is ever written there.
type Original struct{ db *pgx.Conn }

// OpenOriginal connects to the database at url, which may have the Python server's own form, postgresql+asyncpg://. Errors
// are *health.Fault; none has the password.
func OpenOriginal(ctx context.Context, url string) (*Original, error) {
	cfg, err := pgx.ParseConfig(database.PlainURL(url))
	if err == nil && cfg.Database == "" {
		err = errors.New("it names no database")
	}
	if err != nil {
		return nil, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: "the address of the Python server's database is not understood", Why: database.WhyInvalid(database.PlainURL(url), err), Err: err,
			Next: "give it as postgres://user:password@host:5432/database"}
	}
	cfg.RuntimeParams["default_transaction_read_only"] = "on"
	cfg.RuntimeParams["application_name"] = "sunspool import"
	cfg.ConnectTimeout = 10 * time.Second
	db, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, &health.Fault{Code: "original_unreachable", Exit: health.ExitUnreachable, What: fmt.Sprintf("cannot connect to the database of the Python server at %s", cfg.Host), Err: err,
			Next: "check host, port, user, password and database of --from; psql with the same address shows whether it answers"}
	}
	database.RegisterTypes(db.TypeMap())
	var found bool
	if err := db.QueryRow(ctx, "select to_regclass('sungrow_samples') is not null").Scan(&found); err != nil || !found {
		db.Close(ctx)
		return nil, &health.Fault{Code: "original_without_samples", Exit: health.ExitConfig, What: "the database has no table sungrow_samples", Err: err,
			Next: "--from belongs to the database of the Python server; \\dt in psql lists its tables"}
	}
	return &Original{db}, nil
}

// Close ends the connection.
func (o *Original) Close() error { return o.db.Close(context.Background()) }

// OriginalDay is what the Python server has of one device and day of UTC.
type OriginalDay struct {
	Device      string
	Start       time.Time
	Rows, Count int64     // rows, and the sum of their sample_count
	First, Last time.Time // of its rows
	PVSum       float64   // of pv_power_w weighted by sample_count
	LoadSum     float64
	Binary      bool // export_power_w is nowhere but 0 or 1
}

// Days returns what there is, by device and time.
func (o *Original) Days(ctx context.Context) ([]OriginalDay, error) {
	rows, err := o.db.Query(ctx, `
		select device_id, date_trunc('day', ts at time zone 'UTC') as day, count(*), sum(sample_count), min(ts), max(ts),
			sum(pv_power_w * sample_count), sum(load_power_w * sample_count), bool_and(export_power_w in (0, 1))
		from sungrow_samples group by 1, 2 order by 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("count the Python server's samples: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d OriginalDay, err error) {
		err = row.Scan(&d.Device, &d.Start, &d.Rows, &d.Count, &d.First, &d.Last, &d.PVSum, &d.LoadSum, &d.Binary)
		d.Start = time.Date(d.Start.Year(), d.Start.Month(), d.Start.Day(), 0, 0, 0, 0, time.UTC)
		return d, err
	})
}

// Samples returns the rows of one day, in ascending order: some 17,000 when polled every 5 s.
func (o *Original) Samples(ctx context.Context, d OriginalDay) ([]wire.Sample, error) {
	rows, err := o.db.Query(ctx, `
		select ts, pv_power_w, pv_daily_kwh, battery_power_w, battery_soc_pct, battery_temp_c, load_power_w, export_power_w, sample_count
		from sungrow_samples where device_id = $1 and ts >= $2 and ts < $3 order by ts`, d.Device, d.Start, d.Start.AddDate(0, 0, 1))
	if err != nil {
		return nil, fmt.Errorf("read the Python server's samples: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s wire.Sample, err error) {
		s.DeviceID = d.Device
		err = row.Scan(&s.Time, &s.PVPowerW, &s.PVDailyKWh, &s.BatteryPowerW, &s.BatterySOCPct, &s.BatteryTempC, &s.LoadPowerW,
			&s.ExportPowerW, &s.Count)
		s.Time = s.Time.UTC()
		return s, err
	})
}

// In reports whether p, the same day in another store, has the very samples of d: as many, from the same to the same
// time, with the same sums.
func (d OriginalDay) In(p *energy.Period) bool {
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }
	return p.Rows == d.Rows && p.Count == d.Count && p.First == d.First.UnixMilli() && p.Last == d.Last.UnixMilli() &&
		near(p.Sums[energy.AvgPV], d.PVSum) && near(p.Sums[energy.AvgLoad], d.LoadSum)
}
