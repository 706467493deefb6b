package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/fairqueue"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// insertion is one Insert that waits for its commit.
type insertion struct {
	device    string
	rows      []sampleRow
	done      chan error  // of capacity 1: the caller may be gone
	abandoned atomic.Bool // the caller is gone, and nothing was done yet

	new   int   // written by the writer alone until done
	dense []int // likewise; the indexes of rows that are too many
}

// committed waits for the commit, and returns how many rows are new. What is committed when the caller's time ends was done in time:
// what is stored is not said to be unknown.
func (w *insertion) committed(ctx context.Context) (inserted int, err error) {
	select {
	case err = <-w.done:
	case <-ctx.Done():
		select {
		case err = <-w.done:
		default:
			w.abandoned.Store(true)
			return 0, context.Cause(ctx)
		}
	}
	if err != nil {
		return 0, err
	}
	return w.new, nil
}

// sampleRow is a sample on its way into the database. Its sample has the time of the key, in whole milliseconds.
type sampleRow struct {
	device string
	ms     int64
	sample *wire.Sample
	values *string // JSON
	owner  *insertion
	index  int // in its rows

	greatestW float64 // see energy.GreatestW
}

func (a *sampleRow) compare(b *sampleRow) int {
	return cmp.Or(strings.Compare(a.device, b.device), cmp.Compare(a.ms, b.ms))
}

// lastMS is the end of the year 9999, beyond which SQL clients do not read times; Postgres itself ends in 294276.
const lastMS = 253402300799999

// newInsertion prepares the rows, in the caller's goroutine: the writers are the bottleneck.
func newInsertion(device string, samples []wire.Sample) (*insertion, error) {
	w := &insertion{device: device, rows: make([]sampleRow, len(samples)), done: make(chan error, 1)}
	samples = slices.Clone(samples)
	for i := range samples {
		s := &samples[i]
		r := sampleRow{device: device, ms: s.Time.UnixMilli(), sample: s, owner: w, index: i, greatestW: energy.GreatestW(s)}
		if r.ms > lastMS {
			return nil, fmt.Errorf("sample %d of device %q: %w", i, device,
				&wire.Invalid{Field: "ts", Code: wire.CodeInFuture, Detail: "is after the year 9999"})
		}
		s.Time, s.Interval = rollup.FromMS(r.ms), time.Duration(s.IntervalS())*time.Second
		if len(s.Values) > 0 {
			text, err := appendValues(nil, s.Values)
			if err != nil {
				return nil, err
			}
			r.values = new(string(text))
		}
		w.rows[i] = r
	}
	return w, nil
}

// write commits the insertions of a queue, until Close.
func (p *Store) write(queue <-chan *insertion) {
	var waits fairqueue.Queue[*insertion]
	for {
		if waits.Empty() {
			select {
			case <-p.closing:
				return
			case w := <-queue:
				waits.Add(w.device, w.cost(), w)
			}
		}
		select {
		case <-p.closing:
			for !waits.Empty() {
				for _, w := range waits.Take() {
					w.done <- store.ErrClosed
				}
			}
			return
		default:
			for _, some := range p.transactions(takeGroup(&waits, queue)) {
				p.commit(some)
			}
		}
	}
}

// takeGroup returns the next of the insertions that wait.
func takeGroup(waits *fairqueue.Queue[*insertion], queue <-chan *insertion) []*insertion {
	for {
		select {
		case w := <-queue:
			waits.Add(w.device, w.cost(), w)
		default:
			return waits.Take()
		}
	}
}

// transactions divides insertions that wait. With Citus a transaction has one device, and so one shard: it needs no commit in
// two phases, and a worker that is away stops its own devices only.
func (p *Store) transactions(all []*insertion) [][]*insertion {
	if open := p.db.Pools(); open == nil || !open.Distributed {
		return [][]*insertion{all}
	}
	slices.SortStableFunc(all, func(a, b *insertion) int { return strings.Compare(a.device, b.device) })
	return slices.Collect(chunks(all, func(a, b *insertion) bool { return a.device == b.device }))
}

func (w *insertion) cost() int {
	return max(1, fairqueue.Cost(func(yield func(int64) bool) {
		for i := range w.rows {
			if !yield(w.rows[i].ms) {
				return
			}
		}
	}))
}
