package vps

import (
	"context"
	"sync"
	"time"
)

const (
	probeEvery   = 10 * time.Second
	probeAgain   = time.Second // while something fails
	probeTimeout = 2 * time.Second
	failureHolds = 30 * time.Second // a write that failed is believed so long, although probes succeed
)

// lastWrite is how the last write to the store went, and when one succeeded and one failed last.
type lastWrite struct {
	mu        sync.Mutex
	at        time.Time
	err       error
	good, bad time.Time
	mixed     bool
}

// set returns whether some writes succeed while others fail: those of devices whose machine of a cluster is away.
func (w *lastWrite) set(err error, now time.Time) (mixed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.at = err, now
	if err != nil {
		w.bad, w.mixed = now, lately(w.good, now)
	} else {
		w.good, w.mixed = now, w.mixed && lately(w.bad, now)
	}
	return w.mixed
}

func (w *lastWrite) isMixed(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mixed && lately(w.good, now) && lately(w.bad, now)
}

func lately(at, now time.Time) bool { return !at.IsZero() && now.Sub(at) < probeEvery }

// writable reports whether samples can be stored now. Real inserts answer it for free; when there was none lately, or the
// last one failed, a tiny durable write asks, not often however often somebody wants to know. A probe may fit on a disk
// that is too full for a batch: hence a failed insert outlasts one for a while; but not if a probe has failed since then,
// too. That was more than a full disk, and the next probe that succeeds is the end of it. A server that gets no requests
// while it is not ready finds out like this. While the samples of some devices are stored, the failures of others alone
// do not make it unready: a balancer would take away what works.
func (s *Server) writable(ctx context.Context) error {
	s.probing.Lock()
	defer s.probing.Unlock()
	now := s.Now()
	w := &s.lastWrite
	w.mu.Lock()
	at, err := w.at, w.err
	others := lately(w.good, now) // are stored
	w.mu.Unlock()
	age := now.Sub(at)
	if err == nil && age < probeEvery || err != nil && age < probeAgain && !others {
		return err
	}

	every := probeEvery
	if err != nil || s.probeErr != nil {
		every = probeAgain
	}
	if now.Sub(s.probed) >= every {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		defer cancel()
		s.probeErr, s.probed = s.Store.Check(ctx), now
		if s.probeErr != nil {
			s.probeFailed = now
		}
	}
	if err != nil && age < failureHolds && !others && !s.probeFailed.After(at) {
		return err
	}
	return s.probeErr
}
