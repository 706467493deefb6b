package vps

import (
	"context"
	"sync"
	"time"
)

const (
	probeEvery   = 10 * time.Second
	probeTimeout = 2 * time.Second
	failureHolds = 30 * time.Second // a write that failed is believed so long, whatever a probe says
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

// writable reports whether samples can be stored now. Real inserts answer it for free; when there was none lately, a
// tiny durable write asks, at most once in probeEvery however often somebody wants to know. A probe may fit on a disk
// that is too full for a batch: hence a failed insert outlasts it for a while.
func (s *Server) writable(ctx context.Context) error {
	s.probing.Lock()
	defer s.probing.Unlock()
	now := s.Now()
	w := &s.lastWrite
	w.mu.Lock()
	age, err := now.Sub(w.at), w.err
	w.mu.Unlock()
	if err == nil && age < probeEvery || err != nil && age < failureHolds {
		return err
	}
	if now.Sub(s.probed) < probeEvery {
		return s.probeErr
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	s.probeErr = s.Store.Check(ctx)
	s.probed = now
	return s.probeErr
}
