package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/vps/energy"
	"sunspool/wire"
)

// commit stores the insertions in one transaction or, when one of them is such that the database refuses it, each for
// itself. What failed before COMMIT was sent cannot be stored, so it is tried once more on another connection: that is
// how a restart of the database between two inserts goes unnoticed.
func (p *Postgres) commit(all []*insertion) {
	if len(all) == 0 {
		return
	}
	ctx, cancel := bounded(context.Background(), p.callTime) // not one caller's: it ends for none of the others
	defer cancel()
	err := p.call(ctx, "insert", (*pools).forWriting, func(ctx context.Context, db querier) error {
		return p.insert(ctx, db.(*pgxpool.Pool), all)
	})
	if _, refused := errors.AsType[*wire.Invalid](err); refused && len(all) > 1 {
		for _, w := range all {
			p.commit([]*insertion{w})
		}
		return
	}
	if rest := answerDense(all, err); len(rest) < len(all) {
		p.commit(rest)
		return
	}
	for _, w := range all {
		w.done <- err
	}
}

func (p *Postgres) insert(ctx context.Context, pool *pgxpool.Pool, all []*insertion) error {
	g := newGroup(all)
	if len(g.rows) == 0 {
		return nil
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes one whose transaction is open
	if err := g.begin(ctx, conn.Conn()); err != nil {
		return err
	}
	if err := g.takeHeld(ctx, conn.Conn()); err != nil {
		return err
	}
	if g.tooDense(all) {
		_, err := conn.Exec(ctx, `rollback`)
		return err
	}
	if err := g.deriveAll(ctx, conn.Conn()); err != nil {
		return err
	}
	conflicts, err := g.commit(ctx, conn.Conn())
	if err != nil {
		return err
	}
	p.conflicts.Add(uint64(conflicts))
	p.repairs.note(g.pended...)
	return nil
}

// group is the work of one transaction.
type group struct {
	rows     []pgRow // each key once, ascending
	repeated []pgRow // what had the key of a row, stored before or in this group
	devices  []string
	spans    []deviceStretch // of the rollups above the rows

	known   map[string]float64 // devices that have their row, and the greatest power in it
	greater map[string]float64 // devices whose new samples show more than that
	pruned  map[string]int64
	held    int64 // rows before this time, ms, are not inserted yet: their device may be pruned
	rollups map[groupKey]*groupRollup
	touched map[groupKey][]*pgRow // the new samples of base rows, ascending
	pended  []spanKey             // base rows that stay pending
}

// newGroup sorts the rows of the insertions: in the order of the key they cost the least.
func newGroup(all []*insertion) *group {
	g := &group{known: map[string]float64{}, greater: map[string]float64{}, pruned: map[string]int64{}, rollups: map[groupKey]*groupRollup{}, touched: map[groupKey][]*pgRow{}}
	n := 0
	for _, w := range all {
		n += len(w.rows)
		w.new, w.dense = 0, nil
	}
	g.rows = make([]pgRow, 0, n)
	for _, w := range all {
		g.rows = append(g.rows, w.rows...)
	}
	compare := func(a, b pgRow) int { return a.compare(&b) }
	if !slices.IsSortedFunc(g.rows, compare) {
		slices.SortStableFunc(g.rows, compare)
	}
	unique := g.rows[:0]
	for _, r := range g.rows {
		if n := len(unique); n > 0 && unique[n-1].compare(&r) == 0 {
			g.repeated = append(g.repeated, r)
			continue
		}
		unique = append(unique, r)
	}
	g.rows = unique
	for i := range g.rows {
		if i == 0 || g.rows[i].device != g.rows[i-1].device {
			g.devices = append(g.devices, g.rows[i].device)
		}
	}
	g.spans = spansAbove(g.rows)
	return g
}

// A device that is pruned may have lost the samples that a row repeats. What is before the latest time of pruning of the
// group's devices is therefore held back, and looked at one by one; hardly ever is there any.
var (
	insertUnpruned = insertSamples + fmt.Sprintf(` where ts >= coalesce((select max(pruned) from devices where device_id = any($%d)), '-infinity')
		on conflict do nothing returning device_id, ts`, len(wire.Fields)+6)
	insertAll = insertSamples + ` on conflict do nothing returning device_id, ts`
)

const lockDevices = `select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as key`

const selectPruned = `select device_id, pruned, coalesce(greatest_w, 0) from devices where device_id = any($1::text[])`

// begin asks in one round trip all that is asked in most transactions: lock the devices against other processes, insert,
// and say what the rollups above are, or were before this.
func (g *group) begin(ctx context.Context, conn *pgx.Conn) error {
	b := &pgx.Batch{}
	b.Queue(`begin`)
	b.Queue(lockDevices, lockKeys(g.devices))
	b.Queue(insertUnpruned, append(rowArgs(g.rows), g.devices)...)
	b.Queue(selectPruned, g.devices)
	b.Queue(selectRollups, stretchArgs(g.spans)...)
	answers := conn.SendBatch(ctx, b)
	defer answers.Close()
	for range 2 {
		if _, err := answers.Exec(); err != nil {
			return err
		}
	}
	inserted, err := answers.Query()
	if err != nil {
		return err
	}
	keys, err := collectKeys(inserted)
	if err != nil {
		return err
	}
	pruned, err := answers.Query()
	if err != nil {
		return err
	}
	var device string
	var before *time.Time
	var greatestW float64
	if _, err := pgx.ForEachRow(pruned, []any{&device, &before, &greatestW}, func() error {
		g.known[device] = greatestW
		if before != nil {
			g.pruned[device] = before.UnixMilli()
			g.held = max(g.held, before.UnixMilli())
		}
		return nil
	}); err != nil {
		return err
	}
	rollups, err := answers.Query()
	if err != nil {
		return err
	}
	if err := g.scanRollups(rollups); err != nil {
		return err
	}
	g.sort(keys, func(r *pgRow) bool { return r.ms < g.held })
	return answers.Close()
}

// sampleKey is the primary key of samples.
type sampleKey struct {
	device string
	ms     int64
}

func collectKeys(rows pgx.Rows) (keys []sampleKey, err error) {
	var k sampleKey
	var ts time.Time
	_, err = pgx.ForEachRow(rows, []any{&k.device, &ts}, func() error {
		k.ms = ts.UnixMilli()
		keys = append(keys, k)
		return nil
	})
	return keys, err
}

// sort divides the rows into those that are new, as the keys that were inserted say, and the repeated; except what skip
// says.
func (g *group) sort(inserted []sampleKey, skip func(*pgRow) bool) {
	var is map[sampleKey]bool
	next := 0 // the keys come in the order of the rows, though nothing promises it
	for i := range g.rows {
		r := &g.rows[i]
		if skip(r) {
			continue
		}
		k := sampleKey{r.device, r.ms}
		switch {
		case is == nil && next < len(inserted) && inserted[next] == k:
			next++
			g.stored(r)
			continue
		case is == nil:
			is = make(map[sampleKey]bool, len(inserted)-next)
			for _, k := range inserted[next:] {
				is[k] = true
			}
		}
		if is[k] {
			g.stored(r)
		} else {
			g.repeated = append(g.repeated, *r)
		}
	}
}

// saw remembers the power of a row that is new, if it is the greatest of its device.
func (g *group) saw(r *pgRow) {
	if r.greatestW > max(g.known[r.device], g.greater[r.device]) {
		g.greater[r.device] = r.greatestW
	}
}

// stored counts a row that is new.
func (g *group) stored(r *pgRow) {
	r.owner.new++
	g.saw(r)
	k := groupKey{r.device, baseLevel, spanOf(baseLevel, r.ms)}
	g.touched[k] = append(g.touched[k], r)
}

// A device that is new has no rollup that an earlier version counted.
const upsertDevices = `insert into devices (device_id, greatest_w, counted)
	select *, $3::smallint from unnest($1::text[], $2::double precision[])
	on conflict (device_id) do update set greatest_w = greatest(devices.greatest_w, excluded.greatest_w)`

// changedDevices are the devices to be written: those that have no row, or whose greatest power grew.
func (g *group) changedDevices() (devices []string, greatestW []float64) {
	for _, d := range g.devices {
		_, known := g.known[d]
		watts, greater := g.greater[d]
		if !known || greater {
			devices, greatestW = append(devices, d), append(greatestW, watts)
		}
	}
	return devices, greatestW
}

const upsertRollups = `insert into rollups (device_id, level, start, packed)
	select * from unnest($1::text[], $2::smallint[], $3::timestamptz[], $4::bytea[])
	on conflict (device_id, level, start) do update set packed = excluded.packed`

// unknownOutcome is an error after COMMIT was sent: whether the group is stored nobody knows.
type unknownOutcome struct{ error }

func (e unknownOutcome) Unwrap() error { return e.error }

// commit writes the rollups and ends the transaction, in one round trip. It returns how many of the repeated rows have
// other values than the stored ones.
func (g *group) commit(ctx context.Context, conn *pgx.Conn) (conflicts int, err error) {
	end, b := `commit`, &pgx.Batch{}
	var same int
	if len(g.repeated) > 0 {
		b.Queue(sameSamples, rowArgs(g.repeated)...).QueryRow(func(row pgx.Row) error { return row.Scan(&same) })
	}
	if len(g.touched) == 0 {
		end = `rollback` // only repetitions: no reason to flush the disk
	} else {
		if devices, watts := g.changedDevices(); len(devices) > 0 {
			b.Queue(upsertDevices, devices, watts, energy.PackVersion)
		}
		b.Queue(upsertRollups, g.changedRollups()...)
	}
	ended := ""
	b.Queue(end).Exec(func(tag pgconn.CommandTag) error { ended = tag.String(); return nil })
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return 0, unknownOutcome{err}
	}
	if !strings.EqualFold(ended, end) {
		return 0, unknownOutcome{fmt.Errorf("%s was answered with %s", end, ended)}
	}
	return len(g.repeated) - same, nil
}
