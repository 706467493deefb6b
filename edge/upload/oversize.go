package upload

import (
	"time"

	"sunspool/edge/spool"
)

// mostOversize is how many samples in a row may be set apart because they are larger than an intermediary lets pass. When
// none has passed since, the samples are not the cause: the others wait where they are.
const mostOversize = 10

// oversize are samples that were refused alone, as too large, by something between. That says nothing about them, so they
// are never given up: they stay out of all batches, so that smaller ones pass, and one is tried again from time to time.
// When it is taken, or a request that is as large, or one of two samples, the limit is another one and all are samples
// like others.
type oversize struct {
	group
	inRow     int       // set apart since a sample passed
	smallest  int       // body that was refused, in bytes on the wire
	bareUntil time.Time // batches are samples alone: each byte may be the one too many
}

// bare reports whether batches are sent without the description of the edge.
func (o *oversize) bare() bool { return now().Before(o.bareUntil) }

// passed takes note that the server has these samples, of a body of so many bytes. If one of that size was refused before,
// the limit is another one.
func (o *oversize) passed(seqs []uint64, size int) {
	if len(seqs) == 0 {
		return
	}
	o.inRow = 0
	if o.taken(seqs); len(seqs) > 1 || size >= o.smallest {
		o.clear()
	}
}

// tooLargeForIntermediary records that an intermediary found a batch of these records too large. What cannot be made smaller is set
// apart. It reports whether something else can be tried at once.
func (u *Uploader) tooLargeForIntermediary(b batch, records []spool.Record) (more bool) {
	h := &u.refusals.bisection
	switch {
	case len(records) > 1 && b.bisected:
		h.refused(len(records))
		return true
	case len(records) > 1:
		return true
	case !u.oversize.bare():
		u.oversize.bareUntil = now().Add(plainFor)
		return true
	case b.tokenProbe:
		u.deviceChange.tokenProbe = false
	default:
		if len(u.oversize.seqs) == 0 || u.onWire < u.oversize.smallest {
			u.oversize.smallest = u.onWire
		}
		if b.bisected {
			h.accepted(1, false)
		}
		seq := records[0].Seq
		if u.oversize.has(seq) || u.oversize.inRow < mostOversize {
			u.refusals.forget([]uint64{seq})
			u.oversize.each = shortestRetry // an operator who changes the limit waits for it
			if u.oversize.add([]uint64{seq}) {
				u.oversize.inRow++
				return true
			}
		}
	}
	return false
}
