package edge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// turns lets the inverters behind one dongle be polled one after the other: whoever has the turn is the only one that
// touches the dongle.
//
//	roof    ─ poll ─────────── poll ─────────── poll ───>
//	garage  ───────── poll ─────────── poll ────────────>
//	        beat      beat     beat    ...                  the pace of the dongle
//
// Each has one turn in a round, of as many beats as there are inverters. Turns are given in the order in which they are
// asked for. An inverter that does not ask, because its disk hangs, keeps none of the others from theirs, and they are
// not polled more often for it.
type turns struct {
	dongle *Dongle
	free   chan struct{} // has a value while nobody has the turn

	mu   sync.Mutex
	all  []*turn
	left int // how many will not ask again
}

// turn is the place of one inverter in the round. One goroutine uses it; the callback comes from others, too.
type turn struct {
	of    *turns
	alone bool

	asked func()      // called after each request to the dongle while this one has its turn or waits for it; may be nil
	waits atomic.Bool // it has the turn or waits for it
	has   bool
	due   time.Time // the next turn
}

// newTurns makes the turns of n inverters.
func newTurns(dongle *Dongle, n int) *turns {
	t := &turns{dongle: dongle, free: make(chan struct{}, 1)}
	t.free <- struct{}{}
	for range n {
		t.all = append(t.all, &turn{of: t, alone: n == 1})
	}
	dongle.Asked = t.asked
	if n > 1 {
		dongle.Round = dongle.Pace.Interval * time.Duration(n)
	}
	return t
}

// asked tells all that wait for the dongle that it is at work.
func (t *turns) asked() {
	t.mu.Lock()
	var callbacks []func()
	for _, u := range t.all {
		if u.asked != nil && u.waits.Load() {
			callbacks = append(callbacks, u.asked)
		}
	}
	t.mu.Unlock()
	for _, f := range callbacks {
		f()
	}
}

// onAsked sets the callback.
func (t *turn) onAsked(f func()) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.asked = f
}

// interval is the time between two turns.
func (t *turn) interval() time.Duration {
	if t == nil {
		return 0
	}
	return t.of.dongle.Pace.Interval * time.Duration(len(t.of.all))
}

// longest is how long take may wait while all is well.
func (t *turn) longest() time.Duration {
	if t.alone {
		return t.interval()
	}
	return 2 * t.interval()
}

// take waits for the turn and for the pace of the dongle. The error is ctx's, and there is no turn then.
func (t *turn) take(ctx context.Context) error {
	if !t.alone {
		if err := sleep(ctx, t.due.Sub(now())); err != nil {
			return err
		}
	}
	t.waits.Store(true)
	select {
	case <-t.of.free:
		t.has = true
	case <-ctx.Done():
		t.waits.Store(false)
		return ctx.Err()
	}
	d := t.of.dongle
	err := d.Pace.Wait(ctx)
	t.due = now().Add(t.interval())
	if err != nil {
		t.give()
	}
	return err
}

// give ends the turn, if there is one.
func (t *turn) give() {
	if t.has {
		t.has = false
		t.waits.Store(false)
		t.of.free <- struct{}{}
	}
}

// leave ends the turn for good. The last one closes the connection.
func (t *turn) leave() {
	t.give()
	t.of.mu.Lock()
	t.of.left++
	last := t.of.left == len(t.of.all)
	t.of.mu.Unlock()
	if last {
		t.of.dongle.Close()
		t.of.dongle.Pace.Leave()
	}
}

// pause closes the connection in a turn without a poll, if nothing will be asked for so long that a gateway may close it,
// or forget it.
func (t *turn) pause(long bool) {
	d := t.of.dongle
	if t.alone && long || !t.alone && now().Add(d.Pace.Interval).Sub(d.Link.lastReply) > longestIdle {
		d.Close()
	}
}
