package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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

// sampleScanner reads the columns of samples, after those that the caller wants first.
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
	sample = wire.Sample{DeviceID: device, Time: fromMS(s.ts.UnixMilli()), Count: int(s.count)}
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

var sampleColumns = `device_id, ts, ` + fieldColumns + `, sample_count, poll_s, "values"`

// newSamples makes rows of the parameters that rowArgs returns.
var newSamples = func() string {
	types := []string{"$1::text[]", "$2::timestamptz[]"}
	for range wire.Fields {
		types = append(types, fmt.Sprintf("$%d::double precision[]", len(types)+1))
	}
	for range 2 {
		types = append(types, fmt.Sprintf("$%d::integer[]", len(types)+1))
	}
	types = append(types, fmt.Sprintf("$%d::text[]", len(types)+1))
	return `unnest(` + strings.Join(types, ", ") + `) as new (` + sampleColumns + `)`
}()

func rowArgs(rows []pgRow) []any {
	n := len(rows)
	devices, times, values := make([]string, n), make([]time.Time, n), make([]*string, n)
	counts, polls := make([]int32, n), make([]int32, n)
	args := []any{devices, times}
	for _, f := range wire.Fields {
		column := make([]*float64, n)
		for i := range rows {
			column[i] = f.Get(rows[i].sample)
		}
		args = append(args, column)
	}
	for i, r := range rows {
		devices[i], times[i], values[i] = r.device, r.sample.Time, r.values
		counts[i], polls[i] = int32(r.sample.Count), r.sample.IntervalS()
	}
	return append(args, counts, polls, values)
}

var insertSamples = func() string {
	columns := strings.NewReplacer(`poll_s`, `nullif(poll_s, 0)`, `"values"`, `"values"::jsonb`).Replace(sampleColumns)
	return `insert into samples (` + sampleColumns + `) select ` + columns + ` from ` + newSamples
}()

// sameSamples counts the parameters' rows that have the same values as the stored one of their key, whatever the
// interval. OFFSET 0 has each looked up: for thousands of them the planner would rather join all that was ever stored.
var sameSamples = func() string {
	old := make([]string, len(wire.Fields))
	for i, f := range wire.Fields {
		old[i] = "old." + f.Name
	}
	return `select count(*) from ` + newSamples + ` cross join lateral
		(select * from samples where device_id = new.device_id and ts = new.ts offset 0) old
		where (new.` + strings.Join(strings.Split(fieldColumns, ", "), ", new.") + `, new.sample_count, new."values"::jsonb)
		is not distinct from (` + strings.Join(old, ", ") + `, old.sample_count, old."values")`
}()
