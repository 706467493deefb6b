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
	bufferSize  = 720              // samples that wait in memory while the disk takes none: an hour
	bufferRetry = 10 * time.Second // between attempts to write them
)

// buffer holds the samples that are not on the disk yet, in the order in which they were made. Normally it is empty
// between two polls. A sample waits in it when the owner trades a window of loss for the life of a card (Every), and
// when the disk takes nothing: then the inverter is still read, and the samples are written when the disk works again. When
// the buffer is full the oldest sample is lost, which is counted and logged once.
type buffer struct {
	Spool   *spool.Spool
	Every   time.Duration     // between commits; 0 commits every sample at once
	Durable func(wire.Sample) // called with each sample that is on the disk
	Lost    func(why string)  // called for each that never will be
	Ready   func() error      // returns why nothing may be written yet; may be nil
	Log     *slog.Logger

	mu      sync.Mutex
	waiting []spool.Pending
	due     time.Time // of the next commit
	diskErr error     // of the last one
	losing  int       // samples lost since it began
	wake    chan struct{}
	count   atomic.Int64
}

// add takes a sample, and commits it with all that wait if it is time. The error is the disk's: the sample is not lost,
// but it is in memory only.
func (r *buffer) add(sample wire.Sample, when spool.When) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == bufferSize {
		r.drop()
	}
	if len(r.waiting) == 0 {
		r.due = now().Add(r.Every)
	}
	r.waiting = append(r.waiting, spool.Pending{Sample: sample, When: when})
	r.count.Store(int64(len(r.waiting)))
	if now().Before(r.due) {
		r.wakeUp()
		return r.fault()
	}
	return r.commit()
}

// commit writes what waits, all or nothing. If anything goes wrong, a panic included, the samples are kept for the next time.
func (r *buffer) commit() error {
	if len(r.waiting) == 0 {
		return r.fault()
	}
	err := protect(func() error {
		if r.Ready != nil {
			if err := r.Ready(); err != nil {
				return err
			}
		}
		return r.Spool.AppendAll(r.waiting)
	})
	if err != nil {
		r.diskErr, r.due = err, now().Add(bufferRetry)
		r.wakeUp()
		return r.fault()
	}
	if r.diskErr != nil {
		r.Log.Info("samples from memory are on the disk", "samples", len(r.waiting), "lost", r.losing)
	}
	r.diskErr, r.losing = nil, 0
	for _, p := range r.waiting {
		r.Durable(p.Sample)
	}
	r.waiting = nil
	r.count.Store(0)
	return nil
}

// drop loses the oldest sample.
func (r *buffer) drop() {
	f := spool.WriteFault(r.diskErr)
	if r.losing == 0 {
		r.Log.Error("samples are lost: the disk has taken none for too long", "code", f.Code, "kept", bufferSize, "error", f.Why, "next", f.Next)
	}
	r.losing++
	r.Lost(f.Code)
	r.waiting = append(r.waiting[:0], r.waiting[1:]...)
}

// run commits when it is due, also while no new sample comes, until done is closed.
func (r *buffer) run(done <-chan struct{}, report func(error)) {
	for {
		wait := time.NewTimer(r.untilDue())
		select {
		case <-done:
			wait.Stop()
			return
		case <-r.wake:
			wait.Stop()
		case <-wait.C:
			report(r.flushDue())
		}
	}
}

func (r *buffer) untilDue() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return time.Hour
	}
	return max(r.due.Sub(now()), 0)
}

func (r *buffer) flushDue() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 && now().Before(r.due) {
		return r.fault()
	}
	return r.commit()
}

// flush commits now, for the last time, and logs what is lost if that fails.
func (r *buffer) flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.commit()
	if err == nil {
		return nil
	}
	code := spool.WriteFault(r.diskErr).Code
	r.Log.Error("samples in memory are lost at the end", "samples", len(r.waiting), "code", code, "error", r.diskErr.Error())
	for range r.waiting {
		r.Lost(code)
	}
	r.waiting = nil
	r.count.Store(0)
	return err
}

// commitSoon makes the next commit due now.
func (r *buffer) commitSoon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = now()
	r.wakeUp()
}

// discard loses all samples that wait, for the reason why, and returns how many they were.
func (r *buffer) discard(why string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = len(r.waiting)
	for range r.waiting {
		r.Lost(why)
	}
	r.waiting = nil
	r.count.Store(0)
	return n
}

// wakeUp makes run read due again.
func (r *buffer) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// fault is what is wrong with the disk, nil if nothing is.
func (r *buffer) fault() error {
	if r.diskErr == nil {
		return nil
	}
	return spool.WriteFault(r.diskErr)
}

// Len is the number of samples that are in memory only.
func (r *buffer) Len() int { return int(r.count.Load()) }
