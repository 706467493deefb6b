package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
)

// commit stores the insertions whose callers still wait in one transaction or, when one of them is such that the database
// refuses it, each for itself. What failed before COMMIT was sent cannot be stored, so it is tried once more on another
// connection: that is how a restart of the database between two inserts goes unnoticed.
func (p *Store) commit(all []*insertion) {
	if all = slices.DeleteFunc(all, func(w *insertion) bool { return w.abandoned.Load() }); len(all) == 0 {
		return
	}
	ctx, cancel := database.Bounded(context.Background(), p.callTime) // not that of a caller: the others must not end with it
	defer cancel()
	err := p.db.Call(ctx, "insert", func(ctx context.Context, open *database.Pools) error { return p.insert(ctx, open, all) })
	if len(all) > 1 && (errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrUnfit)) {
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

func (p *Store) insert(ctx context.Context, open *database.Pools, all []*insertion) error {
	g := newGroup(all)
	if len(g.rows) == 0 {
		return nil
	}
	conn, err := open.Write.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes one whose transaction is open
	g.alone = !open.Distributed
	for {
		err := g.begin(ctx, conn.Conn(), open.Settings)
		if err == nil {
			break
		}
		again := newGroup(all)
		switch again.newDevices, again.alone = g.newDevices, g.alone; {
		case errors.Is(err, errNoDevice) && !g.newDevices: // one that is new: once in its life
			again.newDevices = true
		case database.IsRepeatedKey(err) && g.alone:
			again.alone = false
		default:
			return err
		}
		if _, err := conn.Exec(ctx, `rollback`); err != nil {
			return err
		}
		g = again
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
	p.repairs.Note(g.stillPending...)
	return nil
}

// group is the work of one transaction.
type group struct {
	rows       []sampleRow // each key once, ascending
	repeated   []sampleRow // rows whose key was stored before, or is that of another row of this group
	devices    []deviceRows
	newDevices bool // some have no row yet
	alone      bool // see queueInsert

	known        map[string]float64 // the greatest power in the rows of the devices
	greater      map[string]float64 // devices whose new samples show more than that
	pruned       map[string]int64   // rows of a device before this time, ms, are not inserted yet: samples may be gone
	counted      map[sampleKey]bool // rows that are in rollups alone, because the samples beside them are gone
	rollups      map[groupKey]*groupRollup
	touched      map[groupKey][]*sampleRow // the new samples of base rows, ascending
	stillPending []rollup.SpanKey          // base rows that stay pending
}

// deviceRows are the rows of one device in a group, and the spans of the rollups above them.
type deviceRows struct {
	device string
	rows   []sampleRow
	spans  []rollup.Range
}

// byDevice cuts rows, which are sorted, where another device begins.
func byDevice(rows []sampleRow) iter.Seq[[]sampleRow] {
	return chunks(rows, func(a, b sampleRow) bool { return a.device == b.device })
}

// chunks cuts all where two neighbours are not alike.
func chunks[T any](all []T, alike func(a, b T) bool) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(all) > 0 {
			n := 1
			for n < len(all) && alike(all[0], all[n]) {
				n++
			}
			if !yield(all[:n:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// newGroup sorts the rows of the insertions: in the order of the key they cost the least, and all processes lock their
// devices in the same order.
func newGroup(all []*insertion) *group {
	g := &group{known: map[string]float64{}, greater: map[string]float64{}, pruned: map[string]int64{}, counted: map[sampleKey]bool{},
		rollups: map[groupKey]*groupRollup{}, touched: map[groupKey][]*sampleRow{}}
	n := 0
	for _, w := range all {
		n += len(w.rows)
		w.new, w.dense = 0, nil
	}
	g.rows = make([]sampleRow, 0, n)
	for _, w := range all {
		g.rows = append(g.rows, w.rows...)
	}
	compare := func(a, b sampleRow) int { return a.compare(&b) }
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
	for rows := range byDevice(g.rows) {
		g.devices = append(g.devices, deviceRows{rows[0].device, rows, spansAbove(rows)})
	}
	return g
}

// A device that is new has no rollup that an earlier version counted.
const addDevice = `insert into devices (device_id, counted) values ($1, $2) on conflict do nothing`

// lockDevice keeps transactions that write samples or rollups of the device apart, of this process or another: each
// starts with it, and what it reads afterwards is what the one before stored. A lock by number would hold on one node of a
// cluster alone.
const lockDevice = `select pruned, coalesce(greatest_w, 0) from devices where device_id = $1 for update`

// errNoDevice is the error of a device without a row. Nothing is inserted without one.
var errNoDevice = errors.New("the device has no row in the table devices")

// begin sends in one round trip all that most transactions read: for each device, lock it against other processes,
// insert, and read the rollups above as they are, or were before this.
func (g *group) begin(ctx context.Context, conn *pgx.Conn, settings []string) error {
	b := &pgx.Batch{}
	b.Queue(`begin`)
	for _, set := range settings {
		b.Queue(set)
	}
	var keys []sampleKey
	var missing error
	for _, d := range g.devices {
		if g.newDevices {
			b.Queue(addDevice, d.device, energy.PackVersion)
		}
		b.Queue(lockDevice, d.device).QueryRow(func(row pgx.Row) error {
			var pruned *time.Time
			var greatestW float64
			err := row.Scan(&pruned, &greatestW)
			if errors.Is(err, pgx.ErrNoRows) {
				missing = fmt.Errorf("device %q: %w", d.device, errNoDevice)
				return nil // the other answers are not needed
			}
			g.known[d.device] = greatestW
			if pruned != nil {
				g.pruned[d.device] = pruned.UnixMilli()
			}
			return err
		})
		queueInsert(b, d.rows, g.alone).Query(func(rows pgx.Rows) error {
			some, err := collectKeys(rows, d.device)
			keys = append(keys, some...)
			return err
		})
		queueRollups(b, d.device, d.spans).Query(func(rows pgx.Rows) error {
			return g.scanRollups(rows, d.device, d.spans)
		})
	}
	if err := conn.SendBatch(ctx, b).Close(); err != nil || missing != nil {
		return cmp.Or(err, missing)
	}
	g.sort(keys, g.held)
	return nil
}

// held reports whether insertUnpruned held a row back.
func (g *group) held(r *sampleRow) bool {
	pruned, is := g.pruned[r.device]
	return is && r.ms < pruned
}

// sent sends a batch, if there is anything in it, and has its answers read.
func sent(ctx context.Context, db database.Querier, b *pgx.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	return db.SendBatch(ctx, b).Close()
}

// sort divides the rows into those that are new, by the keys that were inserted, and the repeated; except those for which skip
// returns true.
func (g *group) sort(inserted []sampleKey, skip func(*sampleRow) bool) {
	var is map[sampleKey]bool
	next := 0 // the keys come in the order of the rows, though PostgreSQL does not guarantee it
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

// raiseGreatest records the power of a row that is new, if it is the greatest of its device.
func (g *group) raiseGreatest(r *sampleRow) {
	if r.greatestW > max(g.known[r.device], g.greater[r.device]) {
		g.greater[r.device] = r.greatestW
	}
}

// stored counts a row that is new.
func (g *group) stored(r *sampleRow) {
	r.owner.new++
	g.raiseGreatest(r)
	k := groupKey{r.device, rollup.BaseLevel, rollup.StartOf(rollup.BaseLevel, r.ms)}
	g.touched[k] = append(g.touched[k], r)
}

const (
	growDevice = `update devices set greatest_w = greatest(greatest_w, $2) where device_id = $1`

	// upsertRollups reads the device's own row for the same reason as insertSamples.
	upsertRollups = `insert into rollups (device_id, level, start, packed)
		select d.device_id, new.level, new.start, new.packed
		from devices d cross join unnest($2::smallint[], $3::timestamptz[], $4::bytea[]) as new (level, start, packed)
		where d.device_id = $1 on conflict (device_id, level, start) do update set packed = excluded.packed`
)

// commit writes the rollups and ends the transaction, in one round trip. It returns how many of the repeated rows have
// other values than the stored ones.
func (g *group) commit(ctx context.Context, conn *pgx.Conn) (conflicts int, err error) {
	end, b := `commit`, &pgx.Batch{}
	stored, same := 0, 0
	repeated := slices.DeleteFunc(slices.Clone(g.repeated), func(r sampleRow) bool { return g.counted[sampleKey{r.device, r.ms}] })
	slices.SortStableFunc(repeated, func(a, b sampleRow) int { return a.compare(&b) })
	for rows := range byDevice(repeated) {
		b.Queue(sameSamples, rowArgs(rows)...).QueryRow(func(row pgx.Row) error {
			var n, equal int
			err := row.Scan(&n, &equal)
			stored, same = stored+n, same+equal
			return err
		})
	}
	if len(g.touched) == 0 {
		end = `rollback` // only repetitions: no reason to flush the disk
	} else {
		changed := g.changedRollups()
		for _, d := range g.devices {
			if watts, greater := g.greater[d.device]; greater {
				b.Queue(growDevice, d.device, watts)
			}
			if p := changed[d.device]; p != nil {
				b.Queue(upsertRollups, p.args(d.device)...).Exec(func(tag pgconn.CommandTag) error { return p.stored(d.device, tag) })
			}
		}
	}
	ended := ""
	b.Queue(end).Exec(func(tag pgconn.CommandTag) error { ended = tag.String(); return nil })
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return 0, database.OutcomeUnknown(err)
	}
	if !strings.EqualFold(ended, end) {
		return 0, database.OutcomeUnknown(fmt.Errorf("%s was answered with %s", end, ended))
	}
	if stored != len(repeated) { // only what is stored is acknowledged
		return 0, database.OutcomeUnknown(fmt.Errorf("%d of %d samples were neither inserted nor stored before", len(repeated)-stored, len(repeated)))
	}
	return len(repeated) - same, nil
}
