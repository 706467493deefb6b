package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
)

// tooDense reports whether some insertions have rows that are too many in their five minutes, and lists these rows in
// them. It is called when it is known which rows of all insertions are new.
func (g *group) tooDense(all []*insertion) (some bool) {
	full := map[groupKey]bool{}
	for k, rows := range g.touched {
		if len(rows) > 0 && g.storedIn(k)+int64(len(rows)) > store.MostInSpan {
			full[k] = true
		}
	}
	if len(full) > 0 {
		g.findDense(all, full)
	}
	for _, w := range all {
		w.dense = rollup.WithRepeated(w.dense, len(w.rows), func(i int) int64 { return w.rows[i].ms })
		some = some || len(w.dense) > 0
	}
	return some
}

// storedIn returns how many samples a base row had before. One of another version of this program is taken as empty once: it
// is then replaced by one of this version.
func (g *group) storedIn(k groupKey) int64 {
	if r := g.rollups[k]; r != nil {
		return r.Rows
	}
	return 0
}

// findDense lists in each insertion those of its rows that are too many in the base rows that are full. An insertion that has
// any is not stored, so its other rows take no room from the insertions that came after it.
func (g *group) findDense(all []*insertion, full map[groupKey]bool) {
	of := map[*insertion][]*sampleRow{}
	for k := range full {
		for _, r := range g.touched[k] {
			of[r.owner] = append(of[r.owner], r)
		}
	}
	more := map[groupKey]int64{} // of the insertions before
	for _, w := range all {
		rows := of[w]
		slices.SortFunc(rows, func(a, b *sampleRow) int { return cmp.Compare(a.index, b.index) })
		dense := rollup.Dense(func(yield func(int, int64) bool) {
			for _, r := range rows {
				if !yield(r.index, r.ms) {
					return
				}
			}
		}, func(base int64) int64 {
			k := groupKey{w.device, rollup.BaseLevel, base}
			return g.storedIn(k) + more[k]
		})
		if w.dense = append(w.dense, dense...); len(w.dense) > 0 {
			continue
		}
		for _, r := range rows {
			more[groupKey{w.device, rollup.BaseLevel, rollup.StartOf(rollup.BaseLevel, r.ms)}]++
		}
	}
}

// answerDense answers the insertions that are too dense, and returns the others. Nothing of the transaction is stored yet.
func answerDense(all []*insertion, err error) (rest []*insertion) {
	for _, w := range all {
		if err == nil && len(w.dense) > 0 {
			w.done <- &store.TooDense{Indexes: w.dense}
		} else {
			rest = append(rest, w)
		}
	}
	return rest
}

// recounts returns which of the base rows, whose new samples are not later than what they have, are to be computed now: the
// smallest of each device, while there is room. The others become pending.
func (g *group) recounts(late []groupKey) (now []groupKey) {
	if len(late) == 0 {
		return nil
	}
	room := map[string]int64{}
	for k, rows := range g.touched {
		if _, known := room[k.device]; !known {
			room[k.device] = rollup.RecountRoom(0)
		}
		room[k.device] += rollup.RecountRoom(len(rows)) - rollup.RecountRoom(0)
	}
	after := map[groupKey]energy.Pending{}
	for _, k := range late {
		rows, p := g.touched[k], g.rollups[k].Pending()
		p.Add(energy.Pending{Rows: int64(len(rows)), First: rows[0].ms, Last: rows[len(rows)-1].ms})
		after[k] = p
	}
	slices.SortStableFunc(late, func(a, b groupKey) int {
		return cmp.Or(cmp.Compare(after[a].Rows, after[b].Rows), cmp.Compare(a.start, b.start))
	})
	for _, k := range late {
		if room[k.device] -= after[k].Rows; room[k.device] >= 0 {
			now = append(now, k)
		} else {
			g.rollups[k] = pendingRollup(after[k])
		}
	}
	return now
}

func pendingRollup(p energy.Pending) *groupRollup {
	return &groupRollup{Rollup: energy.Rollup{Rows: p.Rows, First: p.First, Last: p.Last}, pending: true, changed: true}
}

func (r *groupRollup) pack() []byte {
	if r.pending {
		return r.Pending().Append(nil)
	}
	return r.Append(nil)
}

// repair computes rollups of a device that are pending. Only the inserts of that device wait for it.
func (p *Store) repair(device string, starts []int64) error {
	return p.db.Change(context.Background(), "compute pending rollups", func(ctx context.Context, db database.Querier) error {
		if err := lock(ctx, db, device); err != nil {
			return err
		}
		return computePending(ctx, db, device, starts)
	})
}

// computePending computes those of the base rows that are pending, and the rows above them.
func computePending(ctx context.Context, db database.Querier, device string, starts []int64) error {
	g := &group{rollups: map[groupKey]*groupRollup{}, touched: map[groupKey][]*sampleRow{}}
	rows := make([]sampleRow, len(starts))
	for i, start := range slices.Sorted(slices.Values(starts)) {
		rows[i] = sampleRow{device: device, ms: start}
	}
	above := spansAbove(rows)
	stored, err := db.Query(ctx, selectRollups, rangeArgs(device, above)...)
	if err != nil {
		return err
	}
	if err := g.scanRollups(stored, device, above); err != nil {
		return err
	}
	for _, start := range starts {
		if k := (groupKey{device, rollup.BaseLevel, start}); g.rollups[k] != nil && g.rollups[k].pending {
			g.touched[k] = nil
		}
	}
	if err := g.recount(ctx, db, slices.Collect(maps.Keys(g.touched))); err != nil {
		return err
	}
	return g.storeAbove(ctx, db, device)
}

const selectPending = `select start from rollups where device_id = $1 and level = $2 and start >= $3 and start <= $4
	and substring(packed for 1) = $5`

// computeBetween computes the base rows that are pending of the samples from first to last.
func computeBetween(ctx context.Context, db database.Querier, device string, first, last time.Time) error {
	from := rollup.FromMS(rollup.StartOf(rollup.BaseLevel, first.UnixMilli()))
	rows, err := db.Query(ctx, selectPending, device, rollup.BaseLevel, from, last, []byte{energy.PendingVersion})
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil || len(found) == 0 {
		return err
	}
	var starts []int64
	for _, start := range found {
		starts = append(starts, start.UnixMilli())
	}
	return computePending(ctx, db, device, starts)
}
