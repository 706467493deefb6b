package bolt

import (
	"context"
	"slices"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
	"sunspool/vps/store/fairqueue"
)

// writer commits the writes that wait, until Close.
func (b *Store) writer() {
	defer close(b.done)
	for {
		var first *write
		if b.waiting.Empty() {
			select {
			case <-b.closing:
			case first = <-b.writes:
			}
		}
		select {
		case <-b.closing:
			b.replace(func() (*bbolt.DB, error) { return nil, store.ErrClosed })
			b.wait(first)
			for !b.waiting.Empty() {
				for _, w := range b.waiting.Take() {
					w.done <- store.ErrClosed
				}
			}
			return
		default:
			b.commit(b.group(first))
			_ = b.view(context.Background(), func(*bbolt.Tx) error { return nil }) // it has read much, too
		}
	}
}

// wait puts w, if it is not nil, behind the waiting writes of its device.
func (b *Store) wait(w *write) {
	if w == nil {
		return
	}
	b.waiting.Add(w.device, w.cost(), w)
}

func (w *write) cost() int {
	switch {
	case w.prune > 0, w.count != nil:
		return fairqueue.GroupCost
	case len(w.rows) > 0:
		return fairqueue.Cost(func(yield func(int64) bool) {
			for _, r := range w.rows {
				if !yield(r.ms) {
					return
				}
			}
		})
	}
	return max(1, len(w.repaired)*fairqueue.SpanCost)
}

// group returns the next of first, which may be nil, and the other writes that wait, but for those whose callers are gone.
func (b *Store) group(first *write) []*write {
	b.wait(first)
	for {
		select {
		case w := <-b.writes:
			b.wait(w)
		default:
			return slices.DeleteFunc(b.waiting.Take(), func(w *write) bool { return w.abandoned.Load() })
		}
	}
}
