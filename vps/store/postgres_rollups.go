package store

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/vps/energy"
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
	broken  bool // packed by another version: what it says must be derived
	pending bool // see energy.Pending: it has the number and the times of the samples alone
	changed bool // to be written
}

// lockKeys are the advisory locks of devices, in an order that all processes share, so that none waits for one that
// waits for it. Two devices may have the same lock; they wait for each other then, and nothing else.
func lockKeys(devices []string) []int64 {
	keys := make([]int64, len(devices))
	for i, d := range devices {
		h := fnv.New64a()
		h.Write([]byte("sunspool samples of "))
		h.Write([]byte(d))
		keys[i] = int64(h.Sum64())
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// spansAbove returns which rollups a transaction that stores rows must know: of each day that a row is in, its watches;
// of each watch, its hours; of each hour, its base rows. Adjacent spans are one.
func spansAbove(rows []pgRow) (all []deviceStretch) {
	for level := baseLevel; level < dayLevel; level++ {
		for i := range rows {
			from := spanOf(level+1, rows[i].ms)
			s := deviceStretch{rows[i].device, stretch{level, from, from + spans[level+1]}}
			if n := len(all) - 1; n >= 0 && all[n].device == s.device && all[n].level == level && s.from <= all[n].to {
				all[n].to = s.to
				continue
			}
			all = append(all, s)
		}
	}
	return all
}

func (g *group) scanRollups(rows pgx.Rows) error {
	return scanRollups(rows, false, func(n int, start int64, r *energy.Rollup, whole bool) {
		g.rollups[groupKey{g.spans[n].device, g.spans[n].level, start}] = &groupRollup{Rollup: *r, broken: !whole && r.Rows == 0, pending: !whole && r.Rows > 0}
	})
}

// takeHeld stores the rows that begin held back. A base row of a pruned device of which the first sample is gone has lost
// some: then a row is only counted. All others are inserted like any.
func (g *group) takeHeld(ctx context.Context, conn *pgx.Conn) error {
	var held []pgRow
	bases := map[groupKey][]*pgRow{}
	for i := range g.rows {
		if r := &g.rows[i]; r.ms < g.held {
			k := groupKey{r.device, baseLevel, spanOf(baseLevel, r.ms)}
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
		late := make([]*wire.Sample, len(rows))
		for i, r := range rows {
			late[i] = r.sample
		}
		into := g.rollups[k]
		added := addLate(&into.Rollup, late)
		for n, i := range added {
			if int64(len(added)-n) <= into.Rows-MostInSpan {
				rows[i].owner.dense = append(rows[i].owner.dense, rows[i].index)
			}
			rows[i].owner.new++
			g.saw(rows[i])
			into.changed = true
		}
		if into.changed {
			g.touched[k] = nil // its own samples are gone, but the rollups above it change
		}
	}
	if len(held) == 0 {
		return nil
	}
	slices.SortFunc(held, func(a, b pgRow) int { return a.compare(&b) })
	rows, err := conn.Query(ctx, insertAll, rowArgs(held)...)
	if err != nil {
		return err
	}
	keys, err := collectKeys(rows)
	if err != nil {
		return err
	}
	mine := map[sampleKey]bool{}
	for _, r := range held {
		mine[sampleKey{r.device, r.ms}] = true
	}
	g.sort(keys, func(r *pgRow) bool { return !mine[sampleKey{r.device, r.ms}] })
	return nil
}

// lostSamples returns of which of the base rows samples were pruned: the first of them, because the oldest go first.
func (g *group) lostSamples(ctx context.Context, conn *pgx.Conn, bases map[groupKey][]*pgRow) (map[groupKey]bool, error) {
	var ask []deviceStretch
	for k := range bases {
		if r := g.rollups[k]; k.start < g.pruned[k.device] && r != nil && !r.broken {
			ask = append(ask, deviceStretch{k.device, stretch{samplesLevel, r.First, r.First + 1}})
		}
	}
	lost := map[groupKey]bool{}
	rows, err := conn.Query(ctx, `select s.n - 1, r.stored `+stretches+`
		(select count(*) as stored from samples where device_id = device and ts >= low and ts < high) r`, stretchArgs(ask)...)
	if err != nil {
		return nil, err
	}
	var n int
	var stored int64
	_, err = pgx.ForEachRow(rows, []any{&n, &stored}, func() error {
		lost[groupKey{ask[n].device, baseLevel, spanOf(baseLevel, ask[n].from)}] = stored == 0
		return nil
	})
	return lost, err
}

// deriveAll computes every rollup that a new sample falls into. A base row whose new samples are all later than what it
// has takes them as they are; of the others, those that recounts returns are computed anew from what is stored.
func (g *group) deriveAll(ctx context.Context, conn *pgx.Conn) error {
	var anew, late []groupKey
	for k, rows := range g.touched {
		r := g.rollups[k]
		switch {
		case rows == nil:
			continue
		case r == nil:
			r = &groupRollup{}
			g.rollups[k] = r
		case r.broken:
			anew = append(anew, k)
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
	if err := g.recount(ctx, conn, append(anew, g.recounts(late)...)); err != nil {
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
func (g *group) recount(ctx context.Context, conn *pgx.Conn, bases []groupKey) error {
	if len(bases) == 0 {
		return nil
	}
	var ask []deviceStretch
	for _, k := range bases {
		*g.rollups[k] = groupRollup{changed: true}
		ask = append(ask, deviceStretch{k.device, stretch{samplesLevel, k.start, k.start + spans[baseLevel]}})
	}
	return readStretches(ctx, conn, ask, func(n int, s *wire.Sample) { g.rollups[bases[n]].Add(s) })
}

// repair computes the rollups that cannot be read.
func (g *group) repair(ctx context.Context, conn *pgx.Conn) (err error) {
	for k, r := range g.rollups {
		if !r.broken {
			continue
		}
		if r.Rollup, err = derive(ctx, conn, k.device, k.level, k.start, nil); err != nil {
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
	for level := hourLevel; level < levels; level++ {
		above := map[groupKey]bool{}
		for k := range below {
			above[groupKey{k.device, level, spanOf(level, k.start)}] = true
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
	for start := k.start; start < k.start+spans[k.level]; start += spans[k.level-1] {
		r := g.rollups[groupKey{k.device, k.level - 1, start}]
		if r == nil {
			continue
		}
		total.Add(r.Pending())
		if pending = pending || r.pending; !pending {
			addRow(&sum, k.level-1, &r.Rollup)
		}
		if r.pending && k.level == hourLevel {
			g.pended = append(g.pended, spanKey{k.device, start})
		}
	}
	if pending {
		return pendingRollup(total)
	}
	return &groupRollup{Rollup: sum.Rollup(), changed: true}
}

// changedRollups are the rollups to be written, the parameters of upsertRollups.
func (g *group) changedRollups() []any {
	var devices []string
	var at []int16
	var starts []time.Time
	var packed [][]byte
	for k, r := range g.rollups {
		if r.changed {
			devices, at, starts = append(devices, k.device), append(at, int16(k.level)), append(starts, fromMS(k.start))
			packed = append(packed, r.pack())
		}
	}
	return []any{devices, at, starts, packed}
}
