package upload

import (
	"slices"
	"time"

	"sunspool/edge/spool"
)

// mostOversize is how many samples in a row may be set apart at once because they are larger than an intermediary lets pass.
// When none has passed since, the limit may lie below all of them: further ones are tried at the pace of the backoff.
const mostOversize = 10

// oversize are samples that were refused alone, as too large, by something between. That says nothing about them, so they
// are never given up: they stay out of all batches, so that smaller ones pass, and one is tried again from time to time.
// A request that passes shows that the limit is not below it, so those that were no larger are samples like others:
//
//	bytes on the wire   231 ✓   270 ✓   288 ×   301 ×   312 ×      303 passes: 288 and 301 are free
//
// One that went alone is followed by larger batches, so that all are free soon after the limit is lifted.
type oversize struct {
	group
	sizes     map[uint64]int // the body in which each was refused, in bytes on the wire
	inRow     int            // set apart since a sample passed
	bareUntil time.Time      // batches are samples alone: each byte may be the one too many
}

// bare reports whether batches are sent without the description of the edge.
func (o *oversize) bare() bool { return now().Before(o.bareUntil) }

// refused sets a sample apart that was refused in a body of so many bytes, and reports whether another one may be tried at once.
func (o *oversize) refused(seq uint64, size int) bool {
	o.each = shortestRetry // an operator who changes the limit waits for it
	fresh := o.add([]uint64{seq})
	if !o.has(seq) { // there are too many
		return false
	}
	if o.sizes == nil {
		o.sizes = make(map[uint64]int)
	}
	o.sizes[seq] = size
	if fresh {
		o.inRow++
	}
	return fresh && o.inRow <= mostOversize
}

// passed takes note that the server has these samples, of a body of so many bytes.
func (o *oversize) passed(seqs []uint64, size int) {
	if len(seqs) == 0 {
		return
	}
	o.inRow = 0
	free := slices.Clone(seqs)
	for seq, refused := range o.sizes {
		if refused <= size {
			free = append(free, seq)
		}
	}
	o.drop(free)
}

// drop forgets samples that are gone, or are like others.
func (o *oversize) drop(seqs []uint64) {
	o.group.drop(seqs)
	for _, seq := range seqs {
		delete(o.sizes, seq)
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
		if b.bisected {
			h.accepted(1, false)
		}
		u.refusals.forget([]uint64{records[0].Seq})
		return u.oversize.refused(records[0].Seq, u.onWire)
	}
	return false
}
