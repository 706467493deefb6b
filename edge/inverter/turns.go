package inverter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sunspool/edge/pace"
)

// turns lets the inverters behind one dongle be polled one after the other: only the one that has the turn uses the dongle.
//
//	roof    ─ poll ─────────── poll ─────────── poll ───>
//	garage  ───────── poll ─────────── poll ────────────>
//	        beat      beat     beat    ...                  the pace of the dongle
//
// Each has one turn per round, of as many beats as there are inverters. Turns are given in the order of the calls of take. An
// inverter that does not call it, because its disk hangs, does not delay the others, and they are not polled more often.
type turns struct {
	dongle *Dongle
	free   chan struct{} // has a value while no inverter has the turn

	mu   sync.Mutex
	all  []*Turn
	left int // how many have ended
}

// Turn is the place of one inverter in the round. One goroutine uses it; the callback is called from others, too.
type Turn struct {
	of    *turns
	Alone bool

	asked func()      // called after each request to the dongle while this inverter has its turn or waits for it; may be nil
	waits atomic.Bool // it has the turn or waits for it
	has   bool        // it has the turn
	due   time.Time   // of the next turn
}

// NewTurns returns the turns of n inverters behind dongle.
func NewTurns(dongle *Dongle, n int) []*Turn {
	t := &turns{dongle: dongle, free: make(chan struct{}, 1)}
	t.free <- struct{}{}
	for range n {
		t.all = append(t.all, &Turn{of: t, Alone: n == 1})
	}
	dongle.Asked = t.asked
	if n > 1 {
		dongle.Round = dongle.Pace.Interval * time.Duration(n)
	}
	return t.all
}

// asked calls back all that wait for the dongle: it is working.
func (t *turns) asked() {
	t.mu.Lock()
	var callbacks []func()
	for _, u := range t.all {
		if u.asked != nil && u.Busy() {
			callbacks = append(callbacks, u.asked)
		}
	}
	t.mu.Unlock()
	for _, f := range callbacks {
		f()
	}
}

// Busy reports whether the inverter has its turn or waits for it. It may be called from any goroutine.
func (t *Turn) Busy() bool { return t.waits.Load() }

// OnAsked sets the callback.
func (t *Turn) OnAsked(f func()) {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.asked = f
}

// Interval returns the time between two turns, 0 for nil.
func (t *Turn) Interval() time.Duration {
	if t == nil {
		return 0
	}
	return t.of.dongle.Pace.Interval * time.Duration(len(t.of.all))
}

// Longest returns the longest wait of take in normal operation.
func (t *Turn) Longest() time.Duration {
	if t.Alone {
		return t.Interval()
	}
	return 2 * t.Interval()
}

// Take waits for the turn and for the pace of the dongle. The error is that of ctx; there is no turn then.
func (t *Turn) Take(ctx context.Context) error {
	if !t.Alone {
		if err := pace.Sleep(ctx, t.due.Sub(now())); err != nil {
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
	t.due = now().Add(t.Interval())
	if err != nil {
		t.Give()
	}
	return err
}

// Give ends the turn, if there is one.
func (t *Turn) Give() {
	if t.has {
		t.has = false
		t.waits.Store(false)
		t.of.free <- struct{}{}
	}
}

// Leave ends the turn permanently. The last inverter that leaves closes the connection.
func (t *Turn) Leave() {
	t.Give()
	t.of.mu.Lock()
	t.of.left++
	last := t.of.left == len(t.of.all)
	t.of.mu.Unlock()
	if last {
		t.of.dongle.Close()
		t.of.dongle.Pace.Leave()
	}
}

// Pause closes the connection in a turn without a poll, if it would be idle for so long that a gateway may close or forget it.
// long is whether that is so for an inverter that is alone.
func (t *Turn) Pause(long bool) {
	d := t.of.dongle
	if t.Alone && long || !t.Alone && now().Add(d.Pace.Interval).Sub(d.Link.lastReply) > LongestIdle {
		d.Close()
	}
}
