package upload

import (
	"slices"
	"time"

	"sunspool/edge/spool"
)

const mostInGroup = 10_000 // samples in a group: more are not listed

// future is the samples that the server refused because their time has not come. They are neither bad nor to be tried
// one by one: the clock by which they were made was ahead, or the server's is behind, and what ends that ends it for all
// of them. So they stay out of all batches, and one is tried again from time to time. When it is taken, or when the clock
// was set right and they got other times, all of them are samples like others.
type future struct {
	group
	redated int64 // samples of the spool that had got other times when the first of these was refused
}

// expire forgets them all if samples got other times since.
func (f *future) expire(redated int64) {
	if len(f.seqs) > 0 && redated != f.redated {
		f.clear()
	}
}

// taken records that the server has these samples. If one of them was refused before, the cause may be gone for all.
func (f *future) taken(seqs []uint64) {
	if slices.ContainsFunc(seqs, f.has) {
		f.clear()
	}
}

// rejectedFuture records that the server finds the times of records too far in the future, and reports whether that is new of any of
// them. It is about the clocks, not the samples.
func (u *Uploader) rejectedFuture(records []spool.Record) (fresh bool) {
	if len(records) == 0 {
		return false
	}
	seqs, times := make([]uint64, len(records)), make([]time.Time, len(records))
	for i, r := range records {
		seqs[i], times[i] = r.Seq, r.Sample.Time
	}
	if u.Clock != nil {
		u.Clock.RejectedFuture(times...)
	}
	u.refusals.forget(seqs)
	f := &u.refusals.future
	if len(f.seqs) == 0 {
		f.redated = u.Spool.Redated()
	}
	return f.add(seqs)
}
