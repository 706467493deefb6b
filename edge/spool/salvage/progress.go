package salvage

import (
	"io"
	"time"

	"sunspool/health"
)

// BusyStep is how often work in progress asks the service manager for more time.
const BusyStep = 5 * time.Second

// watchedReader asks for more time whenever it is read: a scan of a large file takes as long as its disk needs, and the
// service manager must neither end a scan that makes progress nor wait for one that hangs.
type watchedReader struct {
	io.ReaderAt
	busy func(most time.Duration)
	next time.Time
}

// Watched returns r so that reading it for long calls busy every BusyStep. A nil busy returns r itself.
func Watched(r io.ReaderAt, busy func(most time.Duration)) io.ReaderAt {
	if busy == nil {
		return r
	}
	return &watchedReader{r, busy, time.Now().Add(BusyStep)}
}

func (w *watchedReader) ReadAt(b []byte, at int64) (int, error) {
	if t := time.Now(); !t.Before(w.next) {
		w.next = t.Add(BusyStep)
		w.busy(health.EstimateDuration(Window))
	}
	return w.ReaderAt.ReadAt(b, at)
}
