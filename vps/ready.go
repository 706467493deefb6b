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

// lastWrite is how the last write to the store went.
type lastWrite struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

func (w *lastWrite) set(err error, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.at = err, now
}

// writable reports whether samples can be stored now. Real inserts answer it for free; when there was none lately, or the
// last one failed, a tiny durable write asks, not often however often somebody wants to know. A probe may fit on a disk
// that is too full for a batch: hence a failed insert outlasts one for a while; but not if a probe has failed since then,
// too. That was more than a full disk, and the next probe that succeeds is the end of it. A server that gets no requests
// while it is not ready finds out like this.
func (s *Server) writable(ctx context.Context) error {
	s.probing.Lock()
	defer s.probing.Unlock()
	now := s.Now()
	w := &s.lastWrite
	w.mu.Lock()
	at, err := w.at, w.err
	w.mu.Unlock()
	age := now.Sub(at)
	if err == nil && age < probeEvery || err != nil && age < probeAgain {
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
	if err != nil && age < failureHolds && !s.probeFailed.After(at) {
		return err
	}
	return s.probeErr
}
