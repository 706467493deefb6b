// Package fairqueue orders the writes that wait for a transaction, so that a device that sends much does not delay the
// others. The writer of a store adds what arrives and takes one group for each transaction.
package fairqueue

import (
	"cmp"
	"iter"
	"slices"

	"sunspool/vps/store/rollup"
)

// Writes are taken by start-time fair queueing: a device that has used more of the writer's time lately comes later, and of
// two that used as much the one with the smaller write comes first. So one that sends much does not delay the others. A
// heavy write has a transaction of its own, and between two of them light writes go first.
const (
	GroupCost = 1024 // ends a group: what comes next waits for all of it
	heavyCost = 512  // a write of this cost is heavy
	SpanCost  = 5    // the rollups of a base row cost as much as so many samples
)

// Queue are the writes that wait for their transaction. It belongs to one writer.
type Queue[W any] struct {
	turns []*turn[W] // of the devices that have any, in order; that of those that used as much is the order of arrival
	of    map[string]*turn[W]
	now   int  // what a device that comes now is taken to have used
	light bool // the last group was of light writes
}

// turn is what waits of one device, in the order of arrival.
type turn[W any] struct {
	device string
	writes []queued[W]
	used   int // of the writer's time
}

type queued[W any] struct {
	write W
	cost  int
}

func (t *turn[W]) heavy() bool { return t.writes[0].cost >= heavyCost }

func (t *turn[W]) compare(o *turn[W]) int {
	return cmp.Or(cmp.Compare(t.used, o.used), cmp.Compare(t.writes[0].cost, o.writes[0].cost))
}

// Add puts a write of a device behind its others.
func (w *Queue[W]) Add(device string, cost int, write W) {
	if t := w.of[device]; t != nil {
		t.writes = append(t.writes, queued[W]{write, cost})
		return
	}
	t := &turn[W]{device: device, writes: []queued[W]{{write, cost}}, used: w.now}
	if w.of == nil {
		w.of = map[string]*turn[W]{}
	}
	w.of[device] = t
	w.insert(t)
}

// PutBack puts the rest of a write that was taken before the others of its device.
func (w *Queue[W]) PutBack(device string, cost int, rest W) {
	t := w.of[device]
	if t == nil {
		w.Add(device, cost, rest)
		return
	}
	w.turns = slices.DeleteFunc(w.turns, func(o *turn[W]) bool { return o == t })
	t.writes = slices.Insert(t.writes, 0, queued[W]{rest, cost})
	t.used = max(w.now, t.used-cost) // its cost was counted when it was taken; a device that comes now must not come first
	w.insert(t)
}

// insert puts a device behind those that used as much.
func (w *Queue[W]) insert(t *turn[W]) {
	i, _ := slices.BinarySearchFunc(w.turns, t, func(a, b *turn[W]) int { return cmp.Or(a.compare(b), -1) })
	w.turns = slices.Insert(w.turns, i, t)
}

// Empty reports whether nothing waits.
func (w *Queue[W]) Empty() bool { return len(w.turns) == 0 }

// Take removes and returns the writes of the next transaction.
func (w *Queue[W]) Take() (group []W) {
	heavy := slices.IndexFunc(w.turns, (*turn[W]).heavy)
	light := slices.IndexFunc(w.turns, func(t *turn[W]) bool { return !t.heavy() })
	if w.light = light >= 0 && (heavy < 0 || !w.light); !w.light {
		if heavy >= 0 {
			group = append(group, w.next(heavy).write)
		}
		return group
	}
	for cost := 0; light >= 0 && cost < GroupCost; {
		next := w.next(light)
		group, cost = append(group, next.write), cost+next.cost
		light = slices.IndexFunc(w.turns, func(t *turn[W]) bool { return !t.heavy() })
	}
	return group
}

// next takes the first write of the device at i.
func (w *Queue[W]) next(i int) queued[W] {
	t := w.turns[i]
	w.turns = slices.Delete(w.turns, i, i+1)
	first := t.writes[0]
	w.now = max(w.now, t.used)
	t.used += first.cost
	if t.writes = t.writes[1:]; len(t.writes) > 0 {
		w.insert(t)
	} else {
		delete(w.of, t.device)
	}
	return first
}

// Cost returns what rows of these times, ms, cost.
func Cost(times iter.Seq[int64]) int {
	rows, spans, last := 0, 0, int64(-1)
	for ms := range times {
		rows++
		if base := rollup.StartOf(rollup.BaseLevel, ms); base != last {
			spans, last = spans+1, base
		}
	}
	return max(rows, SpanCost*spans)
}
