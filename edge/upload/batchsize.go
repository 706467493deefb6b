package upload

import (
	"context"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/transport"
	"sunspool/wire"
)

const (
	shortestTrial = time.Minute // until a batch larger than the ceiling is tried again; it doubles when that fails, too,
	longestTrial  = time.Hour   // up to this
	shortestLull  = 10 * time.Minute
	longestLull   = 4 * time.Hour
)

// sizeLimit is the most samples in a request after a larger request came to nothing: it took longer than the timeout, was
// cut off on the way, or found the server too busy. It is halved with each such failure and doubled after a rest that
// grows while the larger requests keep failing. The zero value is no ceiling.
//
//	samples
//	  960 ×
//	  480   ×       ×           ×
//	  240     ✓ ✓ ✓   ✓ ✓ ✓ ✓ ✓   ✓ ✓ ✓ ...
//	          └ 1 min ┘└  2 min  ┘└ 4 min ...
//
// When a single sample fails as well, the size is not the reason: there is no ceiling then for a lull, which grows too.
type sizeLimit struct {
	most   int           // samples; 0 is as many as the server takes
	failed int           // the smallest request that failed since the last success, 0 if none did
	since  time.Time     // of the last change of most
	rest   time.Duration // until most is doubled
	lull   time.Duration // without a ceiling while everything fails; 0 is no lull
	usual  bool          // a request of the usual size failed since the last success
}

// lower records that a request of n samples failed. One of the usual size gets a second try.
func (c *sizeLimit) lower(n, usual int) {
	halved := c.most > 0
	if n <= usual && !halved && !c.usual {
		c.usual = true
		return
	}
	switch {
	case n == 1 && !halved, !halved && now().Sub(c.since) < c.lull:
		return
	case n == 1:
		c.most, c.failed, c.since, c.lull = 0, 1, now(), min(max(2*c.lull, shortestLull), longestLull)
		return
	case c.failed == 0: // the size before this one passed
		c.rest = min(max(2*c.rest, shortestTrial), longestTrial)
	}
	c.failed = n
	c.most, c.since = max(c.of(n)/2, 1), now()
}

// raise records that a request of n samples passed. If one that was no larger had failed, the size was not the
// reason, and the ceiling is lifted.
func (c *sizeLimit) raise(n int) {
	sizeMatters := c.failed == 0 || n < c.failed
	c.failed, c.lull, c.usual = 0, 0, false
	switch {
	case !sizeMatters, n >= wire.MaxSamples:
		*c = sizeLimit{}
	case c.most > 0 && c.most < wire.MaxSamples && now().Sub(c.since) >= c.rest:
		c.most, c.since = 2*c.most, now()
	}
}

// of returns n, or less if there is a ceiling.
func (c *sizeLimit) of(n int) int {
	if c.most > 0 {
		return min(n, c.most)
	}
	return n
}

// soon is how fast an answer comes that has nothing to do with the size of a batch: of a proxy without its server, of one
// that is reloaded, or a connection that is closed.
const soon = 5 * time.Second

// adaptSize adapts the size of batches to what became of one of n samples, an answer or nothing, after so long. What fails
// soon may be a restart: only the third time in a row may it be the size.
func (u *Uploader) adaptSize(ctx context.Context, n int, err error, took time.Duration) {
	busy, usual := false, u.BatchSize
	restart := took < soon && u.Backoff.Failures() < 2
	switch e := err.(type) {
	case *later:
		busy = e.busy
	case *transport.Interrupted:
		busy = ctx.Err() == nil && !restart // else it was us
	case *intermediary:
		busy = e.aboutSize() && !(restart && e.status >= 500)
		if e.tooLarge() { // it is the size, and a second try is of no use; of a single sample see oversize
			busy, usual, u.sizeLimit.lull = n > 1, 0, 0
		}
	case nil:
		u.sizeLimit.raise(n)
	}
	if busy {
		u.sizeLimit.lower(n, usual)
		u.size = u.sizeLimit.of(u.size)
		if u.sizeLimit.lull > 0 {
			u.size = u.sizeLimit.of(u.BatchSize)
		}
	}
}

// resize makes batches grow while there is a backlog, and small again when there is none.
func (u *Uploader) resize(sent int, more bool) {
	if (u.limit < wire.MaxSamples || u.limitBytes < wire.MaxBytes) && now().Sub(u.limitSince) > sizeFor {
		u.limit = min(u.limit+u.limit/4+1, wire.MaxSamples)
		u.limitBytes = min(u.limitBytes+u.limitBytes/4+1, wire.MaxBytes)
		u.limitSince = now()
	}
	u.size = u.sizeAfter(sent, more)
}

// sizeAfter returns how many samples go in the batch after one of so many.
func (u *Uploader) sizeAfter(sent int, more bool) int {
	size := u.size
	switch {
	case !more:
		size = u.BatchSize
	case sent == u.size:
		size *= 2
	}
	return max(1, u.sizeLimit.of(min(size, u.limit)))
}

// oneRequest returns the records that may go in one request.
func (u *Uploader) oneRequest(records []spool.Record) []spool.Record {
	records = ofOneDevice(records)
	return records[:u.sizeLimit.of(len(records))]
}
