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
		g.rollups[groupKey{g.spans[n].device, g.spans[n].level, start}] = &groupRollup{Rollup: *r, broken: !whole}
	})
}

// takeHeld stores the rows that begin held back. A base row of a pruned device that counts more samples than are stored
// has lost some: then a row is only counted. All others are inserted like any.
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
		for _, i := range addLate(&into.Rollup, late) {
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

// lostSamples returns which of the base rows count more samples than are stored.
func (g *group) lostSamples(ctx context.Context, conn *pgx.Conn, bases map[groupKey][]*pgRow) (map[groupKey]bool, error) {
	var ask []deviceStretch
	for k := range bases {
		if r := g.rollups[k]; k.start < g.pruned[k.device] && r != nil && !r.broken {
			ask = append(ask, deviceStretch{k.device, stretch{samplesLevel, k.start, k.start + spans[baseLevel]}})
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
		k := groupKey{ask[n].device, baseLevel, ask[n].from}
		lost[k] = g.rollups[k].Rows > stored
		return nil
	})
	return lost, err
}

// deriveAll computes every rollup that a new sample falls into. A base row whose new samples are all later than what it
// has takes them as they are; the others, and those of an earlier version, are computed anew from what is stored.
func (g *group) deriveAll(ctx context.Context, conn *pgx.Conn) error {
	var anew []deviceStretch
	for k, rows := range g.touched {
		r := g.rollups[k]
		switch {
		case rows == nil:
			continue
		case r == nil:
			r = &groupRollup{}
			g.rollups[k] = r
		case r.broken || r.Old || rows[0].ms <= r.Last:
			*r = groupRollup{changed: true}
			anew = append(anew, deviceStretch{k.device, stretch{samplesLevel, k.start, k.start + spans[baseLevel]}})
			continue
		}
		r.changed = true
		for _, row := range rows {
			r.Add(row.sample)
		}
	}
	if len(anew) > 0 {
		if err := readStretches(ctx, conn, anew, func(n int, s *wire.Sample) {
			g.rollups[groupKey{anew[n].device, baseLevel, anew[n].from}].Add(s)
		}); err != nil {
			return err
		}
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

// repair computes the rollups that cannot be read.
func (g *group) repair(ctx context.Context, conn *pgx.Conn) (err error) {
	for k, r := range g.rollups {
		if !r.broken {
			continue
		}
		if r.Rollup, err = derive(ctx, conn, k.device, k.level, k.start); err != nil {
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
			var sum energy.Sum
			for start := k.start; start < k.start+spans[level]; start += spans[level-1] {
				if r := g.rollups[groupKey{k.device, level - 1, start}]; r != nil {
					addRow(&sum, level-1, &r.Rollup)
				}
			}
			g.rollups[k] = &groupRollup{Rollup: sum.Rollup(), changed: true}
		}
		below = above
	}
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
			packed = append(packed, r.Append(nil))
		}
	}
	return []any{devices, at, starts, packed}
}
