package spool

import (
	"io"
	"time"

	"sunspool/edge/spool/salvage"
	"sunspool/health"
)

// busyStep is how often work in progress asks the service manager for more time.
const busyStep = 5 * time.Second

// watchedReader asks for more time whenever it is read: a scan of a large file takes as long as its disk needs, and the
// service manager must neither end a scan that makes progress nor wait for one that hangs.
type watchedReader struct {
	io.ReaderAt
	busy func(most time.Duration)
	next time.Time
}

// watched returns r so that reading it for long calls Busy from time to time.
func (s *Spool) watched(r io.ReaderAt) io.ReaderAt {
	if s.Busy == nil {
		return r
	}
	return &watchedReader{r, s.Busy, now().Add(busyStep)}
}

func (w *watchedReader) ReadAt(b []byte, at int64) (int, error) {
	if t := now(); !t.Before(w.next) {
		w.next = t.Add(busyStep)
		w.busy(health.EstimateDuration(salvage.Window))
	}
	return w.ReaderAt.ReadAt(b, at)
}
