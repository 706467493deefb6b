package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// fieldColumns are the columns of wire.Fields, which have the fields' names.
var fieldColumns = func() string {
	names := make([]string, len(wire.Fields))
	for i, f := range wire.Fields {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}()

var selectSamples = `select ts, ` + fieldColumns + `, sample_count, poll_s, "values" from samples`

// sampleScanner reads the columns of samples, after those of the caller.
type sampleScanner struct {
	ts      time.Time
	numbers []*float64
	count   int32
	poll    *int32
	values  []byte
	reader  valuesReader
	into    []any
}

func newSampleScanner(first ...any) *sampleScanner {
	s := &sampleScanner{numbers: make([]*float64, len(wire.Fields))}
	s.into = append(first, &s.ts)
	for i := range s.numbers {
		s.into = append(s.into, &s.numbers[i])
	}
	s.into = append(s.into, &s.count, &s.poll, &s.values)
	return s
}

func (s *sampleScanner) scan(rows pgx.Rows, device string) (sample wire.Sample, err error) {
	if err := rows.Scan(s.into...); err != nil {
		return sample, err
	}
	sample = wire.Sample{DeviceID: device, Time: rollup.FromMS(s.ts.UnixMilli()), Count: int(s.count)}
	for i, f := range wire.Fields {
		f.Set(&sample, s.numbers[i])
	}
	if s.poll != nil {
		sample.Interval = time.Duration(*s.poll) * time.Second
	}
	if s.values != nil {
		if sample.Values, err = s.reader.read(s.values); err != nil {
			return sample, fmt.Errorf("values of device %q at %v: %w", device, sample.Time, err)
		}
	}
	return sample, nil
}

func collectSamples(rows pgx.Rows, device string) (all []wire.Sample, err error) {
	defer rows.Close()
	scanner := newSampleScanner()
	for rows.Next() {
		s, err := scanner.scan(rows, device)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

var sampleColumns = `ts, ` + fieldColumns + `, sample_count, poll_s, "values"`

// rowTypes are the parameters that rowArgs returns, but for the first, which is the device.
func rowTypes(of string) []string {
	types := []string{"timestamptz"}
	for range wire.Fields {
		types = append(types, "double precision")
	}
	types = append(types, "integer", "integer", "text")
	for i, kind := range types {
		types[i] = fmt.Sprintf(of, i+2, kind)
	}
	return types
}

// newSamples turns the parameters that rowArgs returns into rows.
var newSamples = `unnest(` + strings.Join(rowTypes("$%d::%s[]"), ", ") + `) as new (` + sampleColumns + `)`

// newSamplesAtOnce is newSamples without a table in memory for each column, which costs as much to fill and to read as a fifth of
// the insert.
var newSamplesAtOnce = `(select ` + strings.Join(rowTypes("unnest($%d::%s[])"), ", ") + `) as new (` + sampleColumns + `)`

// rowArgs are rows of one device.
func rowArgs(rows []sampleRow) []any {
	n := len(rows)
	times, values := make([]time.Time, n), make([]*string, n)
	counts, polls := make([]int32, n), make([]int32, n)
	args := append(make([]any, 0, len(wire.Fields)+7), rows[0].device, times)
	for _, f := range wire.Fields {
		args = append(args, database.Floats{N: n, At: func(i int) *float64 { return f.Get(rows[i].sample) }})
	}
	for i, r := range rows {
		times[i], values[i] = r.sample.Time, r.values
		counts[i], polls[i] = int32(r.sample.Count), r.sample.IntervalS()
	}
	return append(args, counts, polls, values)
}

// insertSamples reads the device's own row, so that Citus sees which one shard all of it belongs to. Without that row it
// inserts nothing: the row must be locked before.
var insertSamples = insertFrom(newSamples)

func insertFrom(rows string) string {
	columns := `new.ts, new.` + strings.ReplaceAll(fieldColumns, `, `, `, new.`) + `, new.sample_count, nullif(new.poll_s, 0), new."values"::jsonb`
	return `insert into samples (device_id, ` + sampleColumns + `) select d.device_id, ` + columns +
		` from devices d cross join ` + rows + ` where d.device_id = $1`
}

// A device that is pruned may have lost the samples that a row repeats. Rows before the time of pruning are therefore held
// back, and checked one by one; there is hardly ever any.
var (
	insertUnpruned = insertSamples + ` and new.ts >= coalesce(d.pruned, '-infinity') on conflict do nothing returning ts`
	insertAll      = insertSamples + ` on conflict do nothing returning ts`
)

// insertUnprunedAtOnce is insertUnpruned for two thirds of the price. Because the device is locked, what is stored stays so: it is
// enough to look first. Where the time from the first to the last row is empty, as it nearly always is, no key is looked up.
// Only a program that does not lock can store one of them now: that is a unique_violation, and nothing is stored.
var insertUnprunedAtOnce = func() string {
	first := len(wire.Fields) + 6 // behind those of rowArgs
	return insertFrom(newSamplesAtOnce) + fmt.Sprintf(` and new.ts >= coalesce(d.pruned, '-infinity')
		and case when (select exists (select from samples old where old.device_id = $1 and old.ts >= $%d and old.ts <= $%d))
			then (select true from samples old where old.device_id = $1 and old.ts = new.ts) is null else true end
		returning ts`, first, first+1)
}()

// insertOne is insertUnpruned for one row: most edges send one, of each of many devices, and the arrays of one would cost
// as much as its row.
var insertOne = func() string {
	values := []string{"$2::timestamptz"}
	next := func() string { return fmt.Sprintf("$%d", len(values)+2) }
	for range wire.Fields {
		values = append(values, next()+"::double precision")
	}
	values = append(values, next()+"::integer")
	values = append(values, "nullif("+next()+"::integer, 0)")
	values = append(values, next()+"::text::jsonb")
	return `insert into samples (device_id, ` + sampleColumns + `) select d.device_id, ` + strings.Join(values, ", ") +
		` from devices d where d.device_id = $1 and $2 >= coalesce(d.pruned, '-infinity') on conflict do nothing returning ts`
}()

func oneRowArgs(r *sampleRow) []any {
	args := []any{r.device, r.sample.Time}
	for _, f := range wire.Fields {
		args = append(args, f.Get(r.sample))
	}
	return append(args, int32(r.sample.Count), r.sample.IntervalS(), r.values)
}

// atOnceArgs are the parameters of insertUnprunedAtOnce for rows of one device, ascending.
func atOnceArgs(rows []sampleRow) []any {
	return append(rowArgs(rows), rows[0].sample.Time, rows[len(rows)-1].sample.Time)
}

// queueInsert queues the insert of rows of one device, ascending. If alone is true, no program stores rows of the device that
// has not locked it.
func queueInsert(b *pgx.Batch, rows []sampleRow, alone bool) *pgx.QueuedQuery {
	switch {
	case len(rows) == 1:
		return b.Queue(insertOne, oneRowArgs(&rows[0])...)
	case alone:
		return b.Queue(insertUnprunedAtOnce, atOnceArgs(rows)...)
	}
	return b.Queue(insertUnpruned, rowArgs(rows)...)
}

// sameSamples counts the parameters' rows whose key is stored, and those of them that have the same values as the stored
// one, whatever the interval. OFFSET 0 has each looked up: for thousands of them the planner would rather join all that
// was ever stored.
var sameSamples = func() string {
	old := make([]string, len(wire.Fields))
	for i, f := range wire.Fields {
		old[i] = "old." + f.Name
	}
	return `select count(*), count(*) filter (where
		(new.` + strings.Join(strings.Split(fieldColumns, ", "), ", new.") + `, new.sample_count, new."values"::jsonb)
		is not distinct from (` + strings.Join(old, ", ") + `, old.sample_count, old."values"))
		from ` + newSamples + ` cross join lateral
		(select * from samples where device_id = $1 and ts = new.ts offset 0) old`
}()

// sampleKey is the primary key of samples.
type sampleKey struct {
	device string
	ms     int64
}

func collectKeys(rows pgx.Rows, device string) (keys []sampleKey, err error) {
	k := sampleKey{device: device}
	var ts time.Time
	_, err = pgx.ForEachRow(rows, []any{&ts}, func() error {
		k.ms = ts.UnixMilli()
		keys = append(keys, k)
		return nil
	})
	return keys, err
}
