package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
		if err := json.Unmarshal(s.values, &sample.Values); err != nil {
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

// newSamples makes rows of the parameters that rowArgs returns, of which the first is the device.
var newSamples = func() string {
	types := []string{"$2::timestamptz[]"}
	add := func(kind string) { types = append(types, fmt.Sprintf("$%d::%s[]", len(types)+2, kind)) }
	for range wire.Fields {
		add("double precision")
	}
	add("integer")
	add("integer")
	add("text")
	return `unnest(` + strings.Join(types, ", ") + `) as new (` + sampleColumns + `)`
}()

// rowArgs are rows of one device.
func rowArgs(rows []sampleRow) []any {
	n := len(rows)
	times, values := make([]time.Time, n), make([]*string, n)
	counts, polls := make([]int32, n), make([]int32, n)
	args := []any{rows[0].device, times}
	for _, f := range wire.Fields {
		column := make([]*float64, n)
		for i := range rows {
			column[i] = f.Get(rows[i].sample)
		}
		args = append(args, column)
	}
	for i, r := range rows {
		times[i], values[i] = r.sample.Time, r.values
		counts[i], polls[i] = int32(r.sample.Count), r.sample.IntervalS()
	}
	return append(args, counts, polls, values)
}

// insertSamples reads the device's own row, so that Citus sees which one shard all of it belongs to. Without that row it
// inserts nothing: the row must be locked before.
var insertSamples = func() string {
	columns := `new.ts, new.` + strings.ReplaceAll(fieldColumns, `, `, `, new.`) + `, new.sample_count, nullif(new.poll_s, 0), new."values"::jsonb`
	return `insert into samples (device_id, ` + sampleColumns + `) select d.device_id, ` + columns +
		` from devices d cross join ` + newSamples + ` where d.device_id = $1`
}()

// A device that is pruned may have lost the samples that a row repeats. What is before the time of pruning is therefore
// held back, and looked at one by one; hardly ever is there any.
var (
	insertUnpruned = insertSamples + ` and new.ts >= coalesce(d.pruned, '-infinity') on conflict do nothing returning ts`
	insertAll      = insertSamples + ` on conflict do nothing returning ts`
)

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

// queueInsert queues the insert of rows of one device.
func queueInsert(b *pgx.Batch, rows []sampleRow) *pgx.QueuedQuery {
	if len(rows) == 1 {
		return b.Queue(insertOne, oneRowArgs(&rows[0])...)
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
