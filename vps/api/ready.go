package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"sunspool/vps/store"
)

const (
	probeEvery   = 10 * time.Second
	probeAgain   = time.Second // while something fails
	probeTimeout = 2 * time.Second
	failureHolds = 30 * time.Second // a failed write counts for so long, although probes succeed
)

// lastWrite is how the last write to the store went, and when one succeeded and one failed last.
type lastWrite struct {
	mu        sync.Mutex
	at        time.Time
	err       error
	good, bad time.Time
	mixed     bool // the last failure was of some devices alone, and others were stored
}

// set returns whether some writes succeed while others fail. Whether an error may be of some devices alone is decided by
// the store: one that is of all, such as a full disk, ends all soon, and some small batches may still fit.
func (w *lastWrite) set(err error, now time.Time) (mixed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.at = err, now
	if err == nil {
		w.good, w.mixed = now, w.mixed && lately(w.bad, now)
	} else {
		w.bad, w.mixed = now, lately(w.good, now) && (errors.Is(err, store.ErrPartly) || errors.Is(err, store.ErrUnfit))
	}
	return w.mixed
}

// isMixed reports whether the samples of some devices are stored while those of others are not, as when one machine of a
// cluster is away.
func (w *lastWrite) isMixed(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mixed && lately(w.good, now) && lately(w.bad, now)
}

func lately(at, now time.Time) bool { return !at.IsZero() && now.Sub(at) < probeEvery }

// writable reports whether samples can be stored now. Real inserts answer it for free; when there was none lately, or the
// last one failed, a tiny durable write finds out, not often however often this is called. A probe may fit on a disk
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
	w.mu.Unlock()
	others := err != nil && w.isMixed(now) // are stored
	age := now.Sub(at)
	if err == nil && age < probeEvery || err != nil && age < probeAgain && !others {
		return err
	}

	every := probeEvery
	if err != nil || s.probeErr != nil {
		every = probeAgain
	}
	if now.Sub(s.probed) >= every || others && at.After(s.probed) {
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
