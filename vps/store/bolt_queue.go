package store

import (
	"context"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// writer commits what waits, until Close.
func (b *Bolt) writer() {
	defer close(b.done)
	for {
		var first *write
		if b.waiting.empty() {
			select {
			case <-b.closing:
			case first = <-b.writes:
			}
		}
		select {
		case <-b.closing:
			b.replace(func() (*bolt.DB, error) { return nil, ErrClosed })
			b.wait(first)
			for !b.waiting.empty() {
				for _, w := range b.waiting.take() {
					w.done <- ErrClosed
				}
			}
			return
		default:
			b.commit(b.group(first))
			_ = b.view(context.Background(), func(*bolt.Tx) error { return nil }) // it has read much, too
		}
	}
}

// wait puts w, if there is one, behind what waits of its device.
func (b *Bolt) wait(w *write) {
	if w == nil {
		return
	}
	b.waiting.add(w.device, w.cost(), w)
}

func (w *write) cost() int {
	switch {
	case w.prune > 0, w.count != nil:
		return groupCost
	case len(w.rows) > 0:
		return costOf(func(yield func(int64) bool) {
			for _, r := range w.rows {
				if !yield(r.ms) {
					return
				}
			}
		})
	}
	return max(1, len(w.repaired)*spanCost)
}

// group returns the next of first, which may be nil, and the other writes that wait, but for those whose callers are gone.
func (b *Bolt) group(first *write) []*write {
	b.wait(first)
	for {
		select {
		case w := <-b.writes:
			b.wait(w)
		default:
			return slices.DeleteFunc(b.waiting.take(), func(w *write) bool { return w.left.Load() })
		}
	}
}
