package health

import (
	"sync"
	"sync/atomic"
	"time"
)

// pulseLimit is how long a loop may be busy between two beats: longer than a disk that stalls for a minute, or two
// requests to a server that does not answer.
const pulseLimit = 100 * time.Second

// Pulses are the heartbeats of the loops that a process needs. The watchdog of the service manager is fed only while every
// loop is alive: a goroutine that merely ticks proves nothing. The zero value has no loops and is alive.
type Pulses struct {
	mu       sync.Mutex
	loops    []*Pulse
	extended atomic.Int64 // until then any loop may be silent; 0 is never
}

// Pulse is the heartbeat of one loop. The beats of a nil Pulse do nothing.
type Pulse struct {
	of    *Pulses
	name  string
	until atomic.Int64 // when it stops to count as alive
}

// EstimateDuration returns how long work on so many bytes of a file may take: at least as long as a slow memory card needs.
func EstimateDuration(bytes int64) time.Duration {
	return time.Minute + time.Duration(bytes>>20)*time.Second
}

// start is what times are counted from, on the monotonic clock: setting the host's clock cannot change whether a loop counts as alive.
var start = time.Now()

func sinceStart() time.Duration { return time.Since(start) }

// Loop adds a loop, which is alive from now on. Of nil Pulses it is nil.
func (p *Pulses) Loop(name string) *Pulse {
	if p == nil {
		return nil
	}
	l := &Pulse{of: p, name: name}
	l.Beat(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loops = append(p.loops, l)
	return l
}

// Beat records that the loop is alive. It may now wait for so long before it beats again.
func (l *Pulse) Beat(wait time.Duration) {
	if l != nil {
		l.until.Store(int64(sinceStart() + wait + pulseLimit))
	}
}

// Extend lets every loop be silent for so long: what they all depend on is busy with something that is known to take
// long.
func (p *Pulses) Extend(d time.Duration) {
	if p != nil {
		p.extended.Store(int64(sinceStart() + d))
	}
}

// Stalled returns the name of the loop that has been silent for too long, and how long it has not been alive; "" while all
// are.
func (p *Pulses) Stalled() (name string, since time.Duration) {
	if p == nil {
		return "", 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := sinceStart()
	if extended := time.Duration(p.extended.Load()); extended != 0 && t < extended {
		return "", 0
	}
	for _, l := range p.loops {
		if late := t - time.Duration(l.until.Load()); late > since {
			name, since = l.name, late
		}
	}
	return name, since
}
