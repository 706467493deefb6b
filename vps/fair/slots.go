// Package fair shares what only so many requests may do at once among the tokens that they come with.
package fair

import (
	"context"
	"slices"
	"sync"
	"time"

	"sunspool/vps/auth"
)

const (
	slotPatience = 2 * time.Second        // for which a request waits
	slotGrace    = 2 * time.Second        // that a token may keep another one waiting that would have as many
	slotLook     = 250 * time.Millisecond // how often a request that waits looks at what it waits for
)

// Slots limit what is done at once. Tokens share them: none has more than Each, and one that becomes free goes to the waiting
// token that has least, of several to the one that was served longest ago. A token that waits while others have more gets a
// slot of the one that has most, if the work in it can be cancelled.
type Slots struct {
	Most, Each int
	queue      int           // requests of one token that may wait
	Patience   time.Duration // for which each may

	mu      sync.Mutex
	held    []*Slot // the oldest first
	waiting []*waiter
	granted uint64                   // how many were given to one that waited
	last    map[auth.TokenSum]uint64 // the number of the one that a token got last, of those that hold or wait for any
}

// Slot is one of them, until Release. A nil Slot is none.
type Slot struct {
	of    *Slots
	owner auth.TokenSum

	// Guarded by of.mu.
	since     time.Time
	cancel    func() // ends what it is used for, soon; nil while that cannot be ended
	cancelled bool   // end was called
}

type waiter struct {
	owner   auth.TokenSum
	granted chan *Slot // of capacity 1
}

// New returns most slots, of which a token has at most each; queue of its requests may wait, for Patience.
func New(most, each, queue int) *Slots {
	return &Slots{Most: max(1, most), Each: max(1, each), queue: queue, Patience: slotPatience, last: map[auth.TokenSum]uint64{}}
}

// Take returns a slot for owner, nil if there was none for so long.
func (p *Slots) Take(ctx context.Context, owner auth.TokenSum) *Slot {
	p.mu.Lock()
	if len(p.waiting) == 0 && len(p.held) < p.Most && p.heldBy(owner) < p.Each {
		defer p.mu.Unlock()
		return p.hold(owner)
	}
	w := &waiter{owner: owner, granted: make(chan *Slot, 1)}
	p.waiting = append(p.waiting, w)
	p.grant()
	if len(w.granted) > 0 {
		p.mu.Unlock()
		return <-w.granted
	}
	if p.waitingOf(owner) > p.queue {
		p.forget(w)
		p.mu.Unlock()
		return nil
	}
	p.reclaim(owner)
	p.mu.Unlock()

	enough, look := time.NewTimer(p.Patience), time.NewTicker(slotLook)
	defer enough.Stop()
	defer look.Stop()
	for {
		select {
		case got := <-w.granted:
			return got
		case <-look.C:
			p.mu.Lock()
			p.reclaim(owner)
			p.mu.Unlock()
			continue
		case <-enough.C:
		case <-ctx.Done():
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(w.granted) > 0 {
			return <-w.granted
		}
		p.forget(w)
		return nil
	}
}

// Release gives the slot back; again is without effect.
func (l *Slot) Release() {
	if l == nil {
		return
	}
	p := l.of
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.held, l); i >= 0 {
		p.held = slices.Delete(p.held, i, i+1)
		p.grant()
		p.tidy(l.owner)
	}
}

// SetCancel sets how what the slot is used for from now on can be ended, nil if it cannot.
func (l *Slot) SetCancel(end func()) {
	if l == nil {
		return
	}
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	l.cancel, l.cancelled, l.since = end, false, time.Now()
}

// Cancelled reports whether the slot is needed for another token.
func (l *Slot) Cancelled() bool {
	if l == nil {
		return false
	}
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	return l.cancelled
}

// Full reports whether owner has all that it may have.
func (p *Slots) Full(owner auth.TokenSum) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heldBy(owner) >= p.Each
}

// Taken returns how many are.
func (p *Slots) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

// grant gives what is free to those that wait and have least.
func (p *Slots) grant() {
	for len(p.held) < p.Most {
		next, least, last := -1, p.Each, uint64(0)
		for i, w := range p.waiting {
			n, served := p.heldBy(w.owner), p.last[w.owner]
			if n < least || n == least && next >= 0 && served < last {
				next, least, last = i, n, served
			}
		}
		if next < 0 {
			return
		}
		w := p.waiting[next]
		p.waiting = slices.Delete(p.waiting, next, next+1)
		p.granted++
		p.last[w.owner] = p.granted
		w.granted <- p.hold(w.owner)
	}
}

// tidy forgets when a token was served that holds and waits for nothing more.
func (p *Slots) tidy(owner auth.TokenSum) {
	if p.heldBy(owner) == 0 && p.waitingOf(owner) == 0 {
		delete(p.last, owner)
	}
}

func (p *Slots) hold(owner auth.TokenSum) *Slot {
	l := &Slot{of: p, owner: owner, since: time.Now()}
	p.held = append(p.held, l)
	return l
}

// reclaim ends something of the token that has most, if owner waits and has less.
func (p *Slots) reclaim(owner auth.TokenSum) {
	if len(p.held) < p.Most {
		return // owner waits for slots of its own
	}
	counts, leaving := map[auth.TokenSum]int{}, 0
	for _, l := range p.held {
		if l.cancelled {
			leaving++
		} else {
			counts[l.owner]++
		}
	}
	if leaving >= len(p.waiting) {
		return
	}
	var worst *Slot
	for _, l := range p.held {
		long := time.Since(l.since) >= slotGrace
		if l.cancel == nil || l.cancelled || counts[l.owner] <= counts[owner] || counts[l.owner] == counts[owner]+1 && !long {
			continue
		}
		if worst == nil || counts[l.owner] > counts[worst.owner] || counts[l.owner] == counts[worst.owner] && l.since.Before(worst.since) {
			worst = l
		}
	}
	if worst != nil {
		worst.cancelled = true
		worst.cancel()
	}
}

func (p *Slots) heldBy(owner auth.TokenSum) (n int) {
	for _, l := range p.held {
		if l.owner == owner {
			n++
		}
	}
	return n
}

func (p *Slots) waitingOf(owner auth.TokenSum) (n int) {
	for _, w := range p.waiting {
		if w.owner == owner {
			n++
		}
	}
	return n
}

func (p *Slots) forget(w *waiter) {
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		p.tidy(w.owner)
	}
}
