package edge

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sunspool/edge/spool"
	"sunspool/wire"
)

const (
	ringSize  = 720              // samples that wait in memory while the disk takes none: an hour
	ringRetry = 10 * time.Second // between attempts to write them
)

// ring holds the samples that are not on the disk yet, in the order in which they were made. Normally it is empty
// between two polls. A sample waits in it when the owner trades a window of loss for the life of a card (Every), and
// when the disk takes nothing: then the inverter is read on, and the samples follow when the disk does. When it is full
// the oldest is lost, which is counted and said once.
type ring struct {
	Spool   *spool.Spool
	Every   time.Duration     // between commits; 0 commits every sample at once
	Durable func(wire.Sample) // told of each sample that is on the disk
	Lost    func(why string)  // told of each that never will be
	Ready   func() error      // returns why nothing may be written yet; may be nil
	Log     *slog.Logger

	mu      sync.Mutex
	held    []spool.Pending
	due     time.Time // of the next commit
	trouble error     // of the last one
	losing  int       // samples lost since it began
	wake    chan struct{}
	count   atomic.Int64
}

// add takes a sample, and commits it with all that wait if it is time. The error is the disk's: the sample is not lost,
// but it is in memory only.
func (r *ring) add(sample wire.Sample, when spool.When) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) == ringSize {
		r.drop()
	}
	if len(r.held) == 0 {
		r.due = now().Add(r.Every)
	}
	r.held = append(r.held, spool.Pending{Sample: sample, When: when})
	r.count.Store(int64(len(r.held)))
	if now().Before(r.due) {
		r.nudge()
		return r.fault()
	}
	return r.commit()
}

// commit writes what waits, all or nothing. Whatever goes wrong, a panic included, it is kept for the next time.
func (r *ring) commit() error {
	if len(r.held) == 0 {
		return r.fault()
	}
	err := protect(func() error {
		if r.Ready != nil {
			if err := r.Ready(); err != nil {
				return err
			}
		}
		return r.Spool.AppendAll(r.held)
	})
	if err != nil {
		r.trouble, r.due = err, now().Add(ringRetry)
		r.nudge()
		return r.fault()
	}
	if r.trouble != nil {
		r.Log.Info("samples from memory are on the disk", "samples", len(r.held), "lost", r.losing)
	}
	r.trouble, r.losing = nil, 0
	for _, p := range r.held {
		r.Durable(p.Sample)
	}
	r.held = nil
	r.count.Store(0)
	return nil
}

// drop loses the oldest sample.
func (r *ring) drop() {
	f := spool.WriteFault(r.trouble)
	if r.losing == 0 {
		r.Log.Error("samples are lost: the disk has taken none for too long", "code", f.Code, "kept", ringSize, "error", f.Why, "next", f.Next)
	}
	r.losing++
	r.Lost(f.Code)
	r.held = append(r.held[:0], r.held[1:]...)
}

// run commits when it is due, also while no new sample comes, until done is closed.
func (r *ring) run(done <-chan struct{}, tell func(error)) {
	for {
		wait := time.NewTimer(r.untilDue())
		select {
		case <-done:
			wait.Stop()
			return
		case <-r.wake:
			wait.Stop()
		case <-wait.C:
			tell(r.flushDue())
		}
	}
}

func (r *ring) untilDue() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) == 0 {
		return time.Hour
	}
	return max(r.due.Sub(now()), 0)
}

func (r *ring) flushDue() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) > 0 && now().Before(r.due) {
		return r.fault()
	}
	return r.commit()
}

// flush commits now, for the last time, and says what is lost if that does not work.
func (r *ring) flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.commit()
	if err == nil {
		return nil
	}
	code := spool.WriteFault(r.trouble).Code
	r.Log.Error("samples in memory are lost at the end", "samples", len(r.held), "code", code, "error", r.trouble.Error())
	for range r.held {
		r.Lost(code)
	}
	r.held = nil
	r.count.Store(0)
	return err
}

// hurry makes the next commit due now.
func (r *ring) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = now()
	r.nudge()
}

// discard loses all samples that wait, for the reason why, and returns how many they were.
func (r *ring) discard(why string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = len(r.held)
	for range r.held {
		r.Lost(why)
	}
	r.held = nil
	r.count.Store(0)
	return n
}

// nudge makes run look at due again.
func (r *ring) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// fault is what is wrong with the disk, nil if nothing is.
func (r *ring) fault() error {
	if r.trouble == nil {
		return nil
	}
	return spool.WriteFault(r.trouble)
}

// Len is the number of samples that are in memory only.
func (r *ring) Len() int { return int(r.count.Load()) }

// level is how much slower the inverter is read once so much of the spool is used.
type level struct {
	from  float64
	code  string
	every int // so many polls become one; 0 is none
}

// levels of back-pressure. A poll that is not made loses nothing but resolution; deleting would.
var levels = []level{
	{spool.SampleShare, "spool_full", 0},
	{0.95, "spool_95", 12},
	{0.85, "spool_85", 6},
	{spool.ScarceFrom, "spool_70", 2},
	{0, "", 1},
}

// calm is how far below a level the spool must be to leave it, so that it does not come and go with each poll.
const calm = 0.01

// pressure is the present level.
type pressure struct{ at int }

// of returns the level for a spool that is filled so far.
func (p *pressure) of(share float64) level {
	i := 0
	for share < levels[i].from {
		i++
	}
	if i > p.at && share >= levels[p.at].from-calm {
		i = p.at
	}
	p.at = i
	return levels[i]
}
