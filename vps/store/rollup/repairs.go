package rollup

import (
	"sync"
	"time"
)

// Repairs are the base rows whose rollups are pending. They are in memory only: a row that is lost, also by a restart, is
// noted again by the next reader or writer that reads it. Answers are right until then, because all of them derive it.
type Repairs struct {
	mu     sync.Mutex
	all    map[SpanKey]bool
	order  []SpanKey
	notice chan struct{} // of capacity 1
}

// SpanKey names a base row.
type SpanKey struct {
	Device string
	Start  int64
}

const (
	mostRepairs   = 10_000 // that are kept
	repairsAtOnce = 4      // base rows, of one device
	repairRest    = 3      // times as long as the last repairs took, so that they take a quarter of a processor
	repairPause   = time.Second
)

// NewRepairs returns an empty list of repairs.
func NewRepairs() *Repairs {
	return &Repairs{all: map[SpanKey]bool{}, notice: make(chan struct{}, 1)}
}

// Note adds base rows, if there is room.
func (r *Repairs) Note(keys ...SpanKey) {
	r.mu.Lock()
	for _, k := range keys {
		if len(r.order) < mostRepairs && !r.all[k] {
			r.all[k] = true
			r.order = append(r.order, k)
		}
	}
	some := len(r.order) > 0
	r.mu.Unlock()
	if some {
		select {
		case r.notice <- struct{}{}:
		default:
		}
	}
}

// take removes and returns the next base rows, all of one device.
func (r *Repairs) take() (device string, starts []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 && len(starts) < repairsAtOnce {
		k := r.order[0]
		if len(starts) > 0 && k.Device != device {
			break
		}
		device, starts = k.Device, append(starts, k.Start)
		r.order = r.order[1:]
		delete(r.all, k)
	}
	return device, starts
}

// Run calls repair with the rows that were noted, some at once, until closing. A repair that fails is tried again.
func (r *Repairs) Run(closing <-chan struct{}, repair func(device string, starts []int64) error) {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-closing:
			return
		case <-rest.C:
		}
		device, starts := r.take()
		for len(starts) == 0 {
			select {
			case <-closing:
				return
			case <-r.notice:
			}
			device, starts = r.take()
		}
		began := time.Now()
		if err := repair(device, starts); err != nil {
			for _, start := range starts {
				r.Note(SpanKey{device, start})
			}
			rest.Reset(repairPause)
			continue
		}
		rest.Reset(repairRest * time.Since(began))
	}
}
