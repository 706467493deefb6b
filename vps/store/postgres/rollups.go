package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// groupKey names a rollup of any device.
type groupKey struct {
	device string
	level  int
	start  int64
}

type groupRollup struct {
	energy.Rollup
	broken  bool // packed by another version: it must be derived
	pending bool // see energy.Pending: it has the number and the times of the samples alone
	changed bool // to be written
}

// spansAbove returns which rollups a transaction that stores rows of a device must read: of each day that a row is in,
// its rollups of four hours; of each of those, its hours; of each hour, its base rows. Adjacent spans are one.
func spansAbove(rows []sampleRow) (all []rollup.Range) {
	for level := rollup.BaseLevel; level < rollup.DayLevel; level++ {
		for i := range rows {
			from := rollup.StartOf(level+1, rows[i].ms)
			s := rollup.Range{Level: level, From: from, To: from + rollup.Spans[level+1]}
			if n := len(all) - 1; n >= 0 && all[n].Level == level && s.From <= all[n].To {
				all[n].To = s.To
				continue
			}
			all = append(all, s)
		}
	}
	return all
}

func (g *group) scanRollups(rows pgx.Rows, device string, spans []rollup.Range) error {
	return scanRollups(rows, false, func(n int, start int64, r *energy.Rollup, whole bool) {
		g.rollups[groupKey{device, spans[n].Level, start}] = &groupRollup{Rollup: *r, broken: !whole && r.Rows == 0, pending: !whole && r.Rows > 0}
	})
}

// takeHeld stores the rows that begin did not insert. A base row of a pruned device of which the first sample is gone has lost
// some: then a row is only counted. All others are inserted like any.
func (g *group) takeHeld(ctx context.Context, conn *pgx.Conn) error {
	var held []sampleRow
	bases := map[groupKey][]*sampleRow{}
	for i := range g.rows {
		if r := &g.rows[i]; g.held(r) {
			k := groupKey{r.device, rollup.BaseLevel, rollup.StartOf(rollup.BaseLevel, r.ms)}
			bases[k] = append(bases[k], r)
		}
	}
	if len(bases) == 0 {
		return nil
	}
	lost, err := g.lostSamples(ctx, conn, bases)
	if err != nil {
		return err
	}
	for k, rows := range bases {
		if !lost[k] {
			for _, r := range rows {
				held = append(held, *r)
			}
			continue
		}
		for _, r := range rows {
			g.counted[sampleKey{r.device, r.ms}] = true
		}
		late := make([]*wire.Sample, len(rows))
		for i, r := range rows {
			late[i] = r.sample
		}
		into := g.rollups[k]
		added := rollup.AddLate(&into.Rollup, late)
		for n, i := range added {
			if int64(len(added)-n) <= into.Rows-store.MostInSpan {
				rows[i].owner.dense = append(rows[i].owner.dense, rows[i].index)
			}
			rows[i].owner.new++
			g.raiseGreatest(rows[i])
			into.changed = true
		}
		if into.changed {
			g.touched[k] = nil // its own samples are gone, but the rollups above it change
		}
	}
	if len(held) == 0 {
		return nil
	}
	slices.SortStableFunc(held, func(a, b sampleRow) int { return a.compare(&b) })
	var keys []sampleKey
	for of := range byDevice(held) {
		rows, err := conn.Query(ctx, insertAll, rowArgs(of)...)
		if err != nil {
			return err
		}
		some, err := collectKeys(rows, of[0].device)
		if err != nil {
			return err
		}
		keys = append(keys, some...)
	}
	mine := map[sampleKey]bool{}
	for _, r := range held {
		mine[sampleKey{r.device, r.ms}] = true
	}
	g.sort(keys, func(r *sampleRow) bool { return !mine[sampleKey{r.device, r.ms}] })
	return nil
}

// lostSamples returns of which of the base rows samples were pruned: the first of them, because the oldest go first.
func (g *group) lostSamples(ctx context.Context, conn *pgx.Conn, bases map[groupKey][]*sampleRow) (map[groupKey]bool, error) {
	ask := map[string][]rollup.Range{}
	for k := range bases {
		if r := g.rollups[k]; k.start < g.pruned[k.device] && r != nil && !r.broken {
			ask[k.device] = append(ask[k.device], rollup.Range{Level: rollup.SamplesLevel, From: r.First, To: r.First + 1})
		}
	}
	lost := map[groupKey]bool{}
	b := &pgx.Batch{}
	for device, all := range ask {
		b.Queue(countRanges, rangeArgs(device, all)...).Query(func(rows pgx.Rows) error {
			var n int
			var stored int64
			_, err := pgx.ForEachRow(rows, []any{&n, &stored}, func() error {
				lost[groupKey{device, rollup.BaseLevel, rollup.StartOf(rollup.BaseLevel, all[n].From)}] = stored == 0
				return nil
			})
			return err
		})
	}
	return lost, sent(ctx, conn, b)
}

// deriveAll computes every rollup that a new sample falls into. A base row whose new samples are all later than what it
// has takes them as they are; of the others, those that recounts returns are computed again from what is stored.
func (g *group) deriveAll(ctx context.Context, conn *pgx.Conn) error {
	var again, late []groupKey
	for k, rows := range g.touched {
		r := g.rollups[k]
		switch {
		case rows == nil:
			continue
		case r == nil:
			r = &groupRollup{}
			g.rollups[k] = r
		case r.broken:
			again = append(again, k)
			continue
		case r.pending || r.Old || rows[0].ms <= r.Last:
			late = append(late, k)
			continue
		}
		r.changed = true
		for _, row := range rows {
			r.Add(row.sample)
		}
	}
	if err := g.recount(ctx, conn, append(again, g.recounts(late)...)); err != nil {
		return err
	}
	if len(g.touched) == 0 {
		return nil
	}
	if err := g.repair(ctx, conn); err != nil {
		return err
	}
	g.sumUp()
	return nil
}

// recount computes base rows from all their samples.
func (g *group) recount(ctx context.Context, db database.Querier, bases []groupKey) error {
	ask := map[string][]rollup.Range{}
	for _, k := range bases {
		*g.rollups[k] = groupRollup{changed: true}
		ask[k.device] = append(ask[k.device], rollup.Range{Level: rollup.SamplesLevel, From: k.start, To: k.start + rollup.Spans[rollup.BaseLevel]})
	}
	b := &pgx.Batch{}
	for device, all := range ask {
		b.Queue(selectSamplesOf, rangeArgs(device, all)...).Query(func(rows pgx.Rows) error {
			return scanRanges(rows, func(n int, s *wire.Sample) {
				g.rollups[groupKey{device, rollup.BaseLevel, all[n].From}].Add(s)
			})
		})
	}
	return sent(ctx, db, b)
}

// repair computes the rollups that cannot be read.
func (g *group) repair(ctx context.Context, db database.Querier) (err error) {
	for k, r := range g.rollups {
		if !r.broken {
			continue
		}
		if r.Rollup, err = derive(ctx, db, k.device, k.level, k.start, nil); err != nil {
			return err
		}
		r.broken, r.changed = false, true
	}
	return nil
}

// sumUp computes the rollups above the base rows that changed.
func (g *group) sumUp() {
	below := map[groupKey]bool{}
	for k := range g.touched {
		below[k] = true
	}
	for level := rollup.HourLevel; level < rollup.Levels; level++ {
		above := map[groupKey]bool{}
		for k := range below {
			above[groupKey{k.device, level, rollup.StartOf(level, k.start)}] = true
		}
		for k := range above {
			g.rollups[k] = g.sum(k)
		}
		below = above
	}
}

// sum computes a rollup from those below it. It is pending if one of them is.
func (g *group) sum(k groupKey) *groupRollup {
	var sum energy.Sum
	var total energy.Pending
	pending := false
	for start := k.start; start < k.start+rollup.Spans[k.level]; start += rollup.Spans[k.level-1] {
		r := g.rollups[groupKey{k.device, k.level - 1, start}]
		if r == nil {
			continue
		}
		total.Add(r.Pending())
		if pending = pending || r.pending; !pending {
			rollup.AddRow(&sum, k.level-1, &r.Rollup)
		}
		if r.pending && k.level == rollup.HourLevel {
			g.stillPending = append(g.stillPending, rollup.SpanKey{Device: k.device, Start: start})
		}
	}
	if pending {
		return pendingRollup(total)
	}
	return &groupRollup{Rollup: sum.Rollup(), changed: true}
}

// packedRollups are rollups of one device, to be written.
type packedRollups struct {
	levels []int16
	starts []time.Time
	packed [][]byte
}

// args are the parameters of upsertRollups.
func (p *packedRollups) args(device string) []any { return []any{device, p.levels, p.starts, p.packed} }

// stored returns an error unless all rollups were written: a device without its row would have none.
func (p *packedRollups) stored(device string, tag pgconn.CommandTag) error {
	if n := tag.RowsAffected(); n != int64(len(p.starts)) {
		return fmt.Errorf("%d of %d rollups of device %q were stored", n, len(p.starts), device)
	}
	return nil
}

// changedRollups are the rollups to be written, by device.
func (g *group) changedRollups() map[string]*packedRollups {
	all := map[string]*packedRollups{}
	for k, r := range g.rollups {
		if !r.changed {
			continue
		}
		p := all[k.device]
		if p == nil {
			p = &packedRollups{}
			all[k.device] = p
		}
		p.levels, p.starts = append(p.levels, int16(k.level)), append(p.starts, rollup.FromMS(k.start))
		p.packed = append(p.packed, r.pack())
	}
	return all
}

// storeAbove computes the rollups of a device above the base rows that were computed again, and stores all that changed.
func (g *group) storeAbove(ctx context.Context, db database.Querier, device string) error {
	if len(g.touched) == 0 {
		return nil
	}
	if err := g.repair(ctx, db); err != nil {
		return err
	}
	g.sumUp()
	changed := g.changedRollups()[device]
	tag, err := db.Exec(ctx, upsertRollups, changed.args(device)...)
	if err != nil {
		return err
	}
	return changed.stored(device, tag)
}
