package upload

import (
	"slices"

	"sunspool/edge/spool"
)

// bisection is the segments of rejected batches in which a bad sample may be; the last is tried next, oldest samples first. It
// costs at most two requests for each halving.
type bisection []segment

type segment struct {
	seqs    []uint64 // ascending
	suspect bool     // a bad sample is in it: halve it without a request
	sibling bool     // the segment below is the other half of a suspect one: if this is accepted, that is the suspect
}

func (h bisection) size() (n int) {
	for _, p := range h {
		n += len(p.seqs)
	}
	return n
}

func (h bisection) has(seq uint64) bool {
	return slices.ContainsFunc(h, func(p segment) bool {
		_, found := slices.BinarySearch(p.seqs, seq)
		return found
	})
}

// add begins to bisect records. They wait below what is bisected already.
func (h *bisection) add(records []spool.Record) {
	*h = slices.Insert(*h, 0, segment{seqs: numbers(records), suspect: true})
}

func numbers(records []spool.Record) []uint64 {
	seqs := make([]uint64, len(records))
	for i, r := range records {
		seqs[i] = r.Seq
	}
	return seqs
}

// next returns the samples to try next, nil when there are none.
func (h *bisection) next() []uint64 {
	for len(*h) > 0 {
		last := len(*h) - 1
		top := (*h)[last]
		switch half := len(top.seqs) / 2; {
		case len(top.seqs) == 0:
			*h = (*h)[:last]
		case top.suspect && half > 0:
			*h = append((*h)[:last], segment{seqs: top.seqs[half:]}, segment{seqs: top.seqs[:half], sibling: true})
		default:
			return top.seqs
		}
	}
	return nil
}

// accepted records that the first n samples of the segment that next returned need no more search: clean if the server took them all.
func (h *bisection) accepted(n int, clean bool) {
	last := len(*h) - 1
	top := &(*h)[last]
	top.seqs = top.seqs[n:]
	if len(top.seqs) > 0 {
		top.sibling = top.sibling && clean
		return
	}
	if top.sibling && clean && last > 0 {
		(*h)[last-1].suspect = true
	}
	*h = (*h)[:last]
}

// refused records that a bad sample is among the first n samples of the segment that next returned.
func (h *bisection) refused(n int) {
	last := len(*h) - 1
	top := (*h)[last]
	*h = (*h)[:last]
	if rest := top.seqs[n:]; len(rest) > 0 {
		*h = append(*h, segment{seqs: rest})
	}
	*h = append(*h, segment{seqs: top.seqs[:n], suspect: true})
}

// replace corrects the segment that next returned: some of its samples are gone.
func (h *bisection) replace(seqs []uint64) { (*h)[len(*h)-1] = segment{seqs: seqs} }
