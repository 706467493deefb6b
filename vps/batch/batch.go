// Package batch decodes the body of an upload.
//
//	body ──> Decoder.Decode ──> Batch: good samples, problems of the others, the zone, what the edge reports of itself
//	              └─ a Refusal of the whole
//
// The syntax of JSON is jsontext's, which refuses names twice and invalid UTF-8; encoding/json accepts both, and names in
// another case. The loop over the tokens is ours, because one wrong field must refuse its sample alone, and all wrong fields
// are listed. Decoding into structs, with a function of ours for each type of field, passed the same tests in 0.93 of the
// lines, 0.62 to 0.79 as fast, in a program 0.5 MB larger. BenchmarkDecode compares the loop with decoders that check nothing.
package batch

import (
	"cmp"
	"math"
	"slices"
	"time"

	"sunspool/wire"
)

// Samples of polls up to shortPoll apart need no interval beside them; an interval above longestPoll is cut to that.
const (
	shortPoll   = 10 * time.Second
	longestPoll = time.Hour

	MaxUntimely = 64 << 10 // bytes of a sample that is set aside, which may have unknown members
)

// Batch is what an ingest body holds.
type Batch struct {
	Sent     int           // samples in the body, good and bad
	Good     []wire.Sample // may be stored
	Indexes  []int         // their indexes in the body
	Problems []Problem     // of the other samples, by ascending index; a sample may have several
	Untimely []Untimely    // those of them with one problem alone, an impossible time
	Device   string        // whose samples they are; "" if the caller may send those of several, and no sample names one
	Foreign  bool          // a sample names another device
	ID, Zone string
	Edge     *wire.Edge
	Kept     *wire.Kept // what its edge keeps of what it delivered, if the server asked for that
}

// Problem is one reason not to store the sample at index.
type Problem struct {
	Index             int
	Field, Code, What string
}

// Untimely is a sample that could be stored if its time were possible.
type Untimely struct {
	Index int
	Code  string
	JSON  []byte // as it came, JSON
}

// untimelyCode reports whether a code is about a time that another server would take.
func untimelyCode(code string) bool { return code == wire.CodeTooOld || code == wire.CodeInFuture }

// FromEdge reports whether b is from an edge of this program, whose wish for verdicts a proxy may have removed.
func (b *Batch) FromEdge() bool { return b.ID != "" || b.Edge != nil }

// Interval returns how far apart the edge takes its samples, in whole seconds, where that is more than shortPoll; else 0.
func (b *Batch) Interval() time.Duration {
	if b.Edge == nil {
		return 0
	}
	every := min(time.Duration(math.Round(b.Edge.PollIntervalS))*time.Second, longestPoll)
	if every <= shortPoll {
		return 0
	}
	return every
}

// SortProblems puts the problems in the order of their samples.
func (b *Batch) SortProblems() {
	slices.SortStableFunc(b.Problems, func(x, y Problem) int { return cmp.Compare(x.Index, y.Index) })
}

// Reject makes problems of some of the good samples, whose ascending indexes among these are given.
func (b *Batch) Reject(which []int, field, code, what string) {
	good, at := b.Good[:0], b.Indexes[:0]
	for i, s := range b.Good {
		if len(which) > 0 && which[0] == i {
			which = which[1:]
			b.Problems = append(b.Problems, Problem{b.Indexes[i], field, code, what})
			continue
		}
		good, at = append(good, s), append(at, b.Indexes[i])
	}
	b.Good, b.Indexes = good, at
	b.SortProblems()
}
