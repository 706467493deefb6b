package vps

import (
	"cmp"
	"math"
	"slices"
	"sunspool/wire"
	"time"
)

// Samples of polls up to shortPoll apart need no interval beside them; a longer one than longestPoll is not believed.
const (
	shortPoll   = 10 * time.Second
	longestPoll = time.Hour

	maxUntimely = 64 << 10 // bytes of a sample that is set aside, which may have unknown members
)

// batch is what an ingest body holds.
type batch struct {
	sent     int           // samples in the body, good and bad
	good     []wire.Sample // may be stored
	at       []int         // their indexes in the body
	problems []problem     // of the other samples, by ascending index; a sample may have several
	untimely []untimely    // those of them with one problem alone, an impossible time
	foreign  bool          // a sample names another device than the caller
	id, zone string
	edge     *wire.Edge
}

// problem is one reason not to store the sample at index.
type problem struct {
	index             int
	field, code, what string
}

// untimely is a sample that could be stored if its time were possible.
type untimely struct {
	index int
	code  string
	sent  []byte // as it came, JSON
}

// untimelyCode reports whether a code is about a time that another server would take.
func untimelyCode(code string) bool { return code == wire.CodeTooOld || code == wire.CodeInFuture }

// ofOurs reports whether b is from an edge of this program, whose wish for verdicts a proxy may have removed.
func (b *batch) ofOurs() bool { return b.id != "" || b.edge != nil }

// interval returns how far apart the edge takes its samples, in whole seconds, where that is more than shortPoll; else 0.
func (b *batch) interval() time.Duration {
	if b.edge == nil {
		return 0
	}
	every := min(time.Duration(math.Round(b.edge.PollIntervalS))*time.Second, longestPoll)
	if every <= shortPoll {
		return 0
	}
	return every
}

// sortProblems puts the problems in the order of their samples.
func (b *batch) sortProblems() {
	slices.SortStableFunc(b.problems, func(x, y problem) int { return cmp.Compare(x.index, y.index) })
}

// drop makes problems of some of the good samples, whose ascending indexes among these are given.
func (b *batch) drop(which []int, field, code, what string) {
	good, at := b.good[:0], b.at[:0]
	for i, s := range b.good {
		if len(which) > 0 && which[0] == i {
			which = which[1:]
			b.problems = append(b.problems, problem{b.at[i], field, code, what})
			continue
		}
		good, at = append(good, s), append(at, b.at[i])
	}
	b.good, b.at = good, at
	b.sortProblems()
}
