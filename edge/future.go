package edge

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"sunspool/health"
)

const mostAhead = 10_000 // samples that are known to be of the future

// future is the samples that the server refused because their time has not come. They are neither bad nor to be tried
// one by one: the clock by which they were made was ahead, or the server's is behind, and what ends that ends it for all
// of them. So they stay out of all batches, and one is tried again from time to time. When it is taken, or when the clock
// was set right and they got other times, all of them are samples like others.
type future struct {
	seqs    map[uint64]struct{}
	retryAt time.Time
	tries   int
	redated int64 // samples of the spool that had got other times when the first of these was refused

	Waiting atomic.Int64 // for the report
}

func (f *future) has(seq uint64) bool {
	_, ok := f.seqs[seq]
	return ok
}

// add takes note of samples that the server refused, and reports whether any of them is new.
func (f *future) add(seqs []uint64, redated int64) (fresh bool) {
	if len(f.seqs) == 0 {
		f.seqs, f.tries, f.redated = make(map[uint64]struct{}), 0, redated
		f.postpone()
	}
	for _, seq := range seqs {
		if !f.has(seq) {
			fresh = true
		}
		if len(f.seqs) < mostAhead {
			f.seqs[seq] = struct{}{}
		}
	}
	if !fresh {
		f.postpone()
	}
	f.Waiting.Store(int64(len(f.seqs)))
	return fresh
}

func (f *future) postpone() {
	f.retryAt = now().Add(min(suspectRest<<min(f.tries, 10), longestRest))
	f.tries++
}

// due returns the sample that is to be tried now, the oldest, nil if none is.
func (f *future) due() []uint64 {
	if len(f.seqs) == 0 || now().Before(f.retryAt) {
		return nil
	}
	first := ^uint64(0)
	for seq := range f.seqs {
		first = min(first, seq)
	}
	return []uint64{first}
}

// taken takes note that the server has these samples. If one of them was refused before, the time of the others may have
// come, too.
func (f *future) taken(seqs []uint64) {
	if slices.ContainsFunc(seqs, f.has) {
		f.clear()
		return
	}
}

// drop forgets samples that are gone.
func (f *future) drop(seqs []uint64) {
	for _, seq := range seqs {
		delete(f.seqs, seq)
	}
	f.Waiting.Store(int64(len(f.seqs)))
}

func (f *future) clear() {
	f.seqs = nil
	f.Waiting.Store(0)
}

// expire forgets them all if samples got other times since.
func (f *future) expire(redated int64) {
	if len(f.seqs) > 0 && redated != f.redated {
		f.clear()
	}
}

// ahead takes note that the server finds the times of records too far in the future, and reports whether that is new of
// any of them. It accuses the clocks, not the samples.
func (u *Uploader) ahead(records []Record) (fresh bool) {
	if len(records) == 0 {
		return false
	}
	seqs, times := make([]uint64, len(records)), make([]time.Time, len(records))
	for i, r := range records {
		seqs[i], times[i] = r.Seq, r.Sample.Time
	}
	if u.Clock != nil {
		u.Clock.Accused(times...)
	}
	u.poison.forget(seqs)
	return u.poison.future.add(seqs, u.Spool.Redated())
}

// premature says what to do about samples that the server finds to be of the future.
func premature(e *Edge) *health.Fault {
	n := e.Uploader.poison.future.Waiting.Load()
	if n == 0 {
		return nil
	}
	return &health.Fault{
		Code: "clock_ahead", What: fmt.Sprintf("%d samples wait: the server finds them too far in the future", n),
		Next: "check the date of this host and of the server: nothing is given up",
	}
}
