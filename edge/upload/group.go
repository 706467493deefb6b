package upload

import (
	"cmp"
	"sync/atomic"
	"time"
)

// group is samples that do not reach the server for one common cause, which is not in the samples and ends for all of them at
// once. They stay out of all batches, and the oldest is tried again from time to time.
type group struct {
	seqs    map[uint64]struct{}
	retryAt time.Time
	tries   int
	each    time.Duration // between trials; 0 is longer and longer, up to longestRest

	Waiting atomic.Int64 // for the report
}

func (g *group) has(seq uint64) bool {
	_, ok := g.seqs[seq]
	return ok
}

// add records samples that were refused, and reports whether any of them is new.
func (g *group) add(seqs []uint64) (fresh bool) {
	if len(g.seqs) == 0 {
		g.seqs, g.tries = make(map[uint64]struct{}), 0
		g.postpone()
	}
	for _, seq := range seqs {
		if !g.has(seq) {
			fresh = true
		}
		if len(g.seqs) < mostInGroup {
			g.seqs[seq] = struct{}{}
		}
	}
	if !fresh {
		g.postpone()
	}
	g.Waiting.Store(int64(len(g.seqs)))
	return fresh
}

func (g *group) postpone() {
	g.retryAt = now().Add(cmp.Or(g.each, min(shortestRetry<<min(g.tries, 10), longestRetry)))
	g.tries++
}

// due returns the sample that is to be tried now, the oldest, nil if none is.
func (g *group) due() []uint64 {
	if len(g.seqs) == 0 || now().Before(g.retryAt) {
		return nil
	}
	first := ^uint64(0)
	for seq := range g.seqs {
		first = min(first, seq)
	}
	return []uint64{first}
}

// drop forgets samples that are gone.
func (g *group) drop(seqs []uint64) {
	for _, seq := range seqs {
		delete(g.seqs, seq)
	}
	g.Waiting.Store(int64(len(g.seqs)))
}

func (g *group) clear() {
	g.seqs = nil
	g.Waiting.Store(0)
}
