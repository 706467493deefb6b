package upload

import (
	"slices"
	"time"

	"sunspool/edge/spool"
)

// hunt is the parts of refused batches in which a poison may be; the last is looked at next, oldest samples first. It
// costs at most two requests for each halving.
type hunt []part

type part struct {
	seqs   []uint64 // ascending
	guilty bool     // a poison is in it: halve it without asking
	twin   bool     // the part below is the other half of one that is guilty: if this is taken, that is not
}

func (h hunt) size() (n int) {
	for _, p := range h {
		n += len(p.seqs)
	}
	return n
}

func (h hunt) has(seq uint64) bool {
	return slices.ContainsFunc(h, func(p part) bool {
		_, found := slices.BinarySearch(p.seqs, seq)
		return found
	})
}

// add begins to search records. They wait below what is searched already.
func (h *hunt) add(records []spool.Record) {
	*h = slices.Insert(*h, 0, part{seqs: numbers(records), guilty: true})
}

func numbers(records []spool.Record) []uint64 {
	seqs := make([]uint64, len(records))
	for i, r := range records {
		seqs[i] = r.Seq
	}
	return seqs
}

// next returns the samples to try next, nil when there are none.
func (h *hunt) next() []uint64 {
	for len(*h) > 0 {
		last := len(*h) - 1
		top := (*h)[last]
		switch half := len(top.seqs) / 2; {
		case len(top.seqs) == 0:
			*h = (*h)[:last]
		case top.guilty && half > 0:
			*h = append((*h)[:last], part{seqs: top.seqs[half:]}, part{seqs: top.seqs[:half], twin: true})
		default:
			return top.seqs
		}
	}
	return nil
}

// took says that the first n samples of the part that next gave need no more search: clean if the server took them all.
func (h *hunt) took(n int, clean bool) {
	last := len(*h) - 1
	top := &(*h)[last]
	top.seqs = top.seqs[n:]
	if len(top.seqs) > 0 {
		top.twin = top.twin && clean
		return
	}
	if top.twin && clean && last > 0 {
		(*h)[last-1].guilty = true
	}
	*h = (*h)[:last]
}

// refused says that a poison is among the first n samples of the part that next gave.
func (h *hunt) refused(n int) {
	last := len(*h) - 1
	top := (*h)[last]
	*h = (*h)[:last]
	if rest := top.seqs[n:]; len(rest) > 0 {
		*h = append(*h, part{seqs: rest})
	}
	*h = append(*h, part{seqs: top.seqs[:n], guilty: true})
}

// replace corrects the part that next gave: some of its samples are gone.
func (h *hunt) replace(seqs []uint64) { (*h)[len(*h)-1] = part{seqs: seqs} }

const (
	goodAnswers = 3           // in a row, and
	goodFor     = time.Minute // without a refusal: then the server has come to its senses
	forgetAfter = time.Hour   // without a refusal, in any case
)

// brake remembers the last verdicts on samples. Each sample counts once, however often it is refused. What it remembers
// does not outlive its cause: three good answers and a minute end it, and so does an hour without a refusal.
type brake struct {
	ring  [verdicts]bool // refused
	at    int
	bad   int
	since time.Time // of the first refusal that is remembered
	last  time.Time // refusal, of whatever
	goods int       // answers in a row since then that took all they were sent
}

// on reports whether too many samples are refused to believe that it is them.
func (b *brake) on() bool { return b.bad > tooMany }

func (b *brake) light() int64 {
	if b.on() {
		return 1
	}
	return 0
}

func (b *brake) took(n int) {
	for range min(n, verdicts) {
		b.note(false)
	}
}

func (b *brake) refused(n int) {
	if b.bad == 0 {
		b.since = now()
	}
	for range n {
		b.note(true)
	}
	b.again()
}

// again notes any refusal, also of a sample that has been counted.
func (b *brake) again() { b.last, b.goods = now(), 0 }

// good notes an answer that took all samples of a request.
func (b *brake) good() { b.goods++ }

// forget clears the memory when its cause is gone, and reports whether it did.
func (b *brake) forget() bool {
	quiet := now().Sub(b.last)
	if b.bad == 0 || quiet < forgetAfter && !(b.on() && b.goods >= goodAnswers && quiet >= goodFor) {
		return false
	}
	*b = brake{last: b.last}
	return true
}

func (b *brake) note(refused bool) {
	if b.ring[b.at] {
		b.bad--
	}
	b.ring[b.at] = refused
	if refused {
		b.bad++
	}
	b.at = (b.at + 1) % verdicts
}
