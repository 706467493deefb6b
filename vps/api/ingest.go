package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"sunspool/health"
	"sunspool/vps/batch"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	maxDetails  = 20      // problems that a strict refusal lists
	detailBytes = 4 << 10 // of verdicts' texts in a lenient answer: an edge reads at most 64 KiB of it

)

// ingest stores the samples of one request. It answers 200 only when they are durable.
func (s *Server) ingest(c *request.Request) (any, error) {
	d := batch.NewDecoder()
	defer d.Release()
	b, err := s.receive(c, d)
	if err != nil {
		return nil, err
	}
	lenient := prefersLenient(c.HTTP)
	if lenient || b.FromEdge() {
		b.Untimely = nil // its sender keeps them
	}
	if err := admit(b, lenient); err != nil {
		return nil, err
	}
	inserted := 0
	if b.Device != "" {
		c.Caller.Device = b.Device // of those that the token is for
		if inserted, err = s.keep(c, &b, lenient); err != nil {
			return nil, err
		}
	}

	receipt := wire.Receipt{Inserted: inserted, SetAside: len(b.Untimely), BatchID: b.ID}
	if lenient {
		c.Header().Set("Preference-Applied", wire.Lenient)
		receipt.Accepted, receipt.Duplicates = new(inserted), new(len(b.Good)-inserted)
		receipt.Rejected = s.verdicts(b.Problems)
		receipt.Version = s.Version // an edge tries again with a new version what an old one refused
		if err := s.compare(c, &b, &receipt); err != nil {
			return nil, err
		}
	}
	return receipt, nil
}

// keep stores what can be stored of a batch, and what its edge reports of itself.
func (s *Server) keep(c *request.Request, b *batch.Batch, lenient bool) (inserted int, err error) {
	if err := s.setAside(c, b.Untimely); err != nil {
		return 0, err
	}
	if every := b.Interval(); every > 0 {
		for i := range b.Good {
			b.Good[i].Interval = every
		}
	}
	b.Zone = s.ExistingZone(b.Device, b.Zone)
	change := s.ZoneChange(c, *b)
	inserted, err = s.insertSparse(c, b, lenient)
	if lenient && store.Refused(err) {
		inserted, err = s.insertSound(c, b)
	}
	if err != nil {
		return 0, err
	}
	if inserted > 0 {
		s.broadcast(b.Good)
	}
	s.Update(c, *b, change)
	s.metrics.samples(inserted, len(b.Good)-inserted)
	return inserted, nil
}

// admit returns why nothing of the batch may be stored, or nil. A sample of another device refuses all even when verdicts
// were asked for: then the token is wrong, not the sample, and the edge must keep it.
func admit(b batch.Batch, lenient bool) error {
	if len(b.Problems) > len(b.Untimely) && !lenient {
		return strictRefusal(b.Problems)
	}
	if b.Foreign {
		return request.ErrForeignSample
	}
	return nil
}

var whyTooDense = fmt.Sprintf("is one of more than %d samples in these five minutes", store.MostInSpan)

// insertSparse stores the good samples of b. Those that are too many in their five minutes are among the problems then, and
// refuse all of a batch that is not lenient.
func (s *Server) insertSparse(c *request.Request, b *batch.Batch, lenient bool) (inserted int, err error) {
	for len(b.Good) > 0 {
		inserted, dense, err := s.insert(c, b.Good)
		if err != nil || len(dense) == 0 {
			return inserted, err
		}
		b.Reject(dense, "ts", wire.CodeTooDense, whyTooDense)
		if err := admit(*b, lenient); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// insert stores the samples, or none and returns the indexes of those that are too dense.
func (s *Server) insert(c *request.Request, samples []wire.Sample) (inserted int, dense []int, err error) {
	if len(samples) == 0 {
		return 0, nil, nil
	}
	inserted, err = request.Ask(&s.Gate, c, "insert", func(ctx context.Context) (int, error) {
		n, err := s.Store.Insert(ctx, c.Caller.Device, samples)
		if refused, ok := errors.AsType[*store.TooDense](err); ok {
			dense = refused.Indexes
			return 0, nil // the store works
		}
		return n, err
	})
	if c.HTTP.Context().Err() == nil && !store.Refused(err) { // when the caller went away, nothing is known of the store
		s.wrote(err)
	}
	return inserted, dense, err
}

// insertSound stores what the store takes of b.good, of which it refused something, and moves the rest to the problems. That
// is for what this server takes and a database does not, such as what breaks a constraint of its owner's.
func (s *Server) insertSound(c *request.Request, b *batch.Batch) (inserted int, err error) {
	good, at := b.Good, b.Indexes
	b.Good, b.Indexes = nil, nil
	refuse := func(i int, field, code, what string) {
		b.Problems = append(b.Problems, batch.Problem{Index: at[i], Field: field, Code: code, What: what})
	}
	var try func(from, to int) error
	try = func(from, to int) error {
		n, dense, err := s.insert(c, good[from:to])
		switch {
		case err == nil && len(dense) == 0:
			inserted += n
			b.Good, b.Indexes = append(b.Good, good[from:to]...), append(b.Indexes, at[from:to]...)
			return nil
		case err != nil && !store.Refused(err):
			return err
		case to-from == 1 && err == nil:
			refuse(from, "ts", wire.CodeTooDense, whyTooDense)
			return nil
		case to-from == 1:
			refuse(from, "", store.CodeNotStorable, "the store refuses it")
			return nil
		}
		middle := (from + to) / 2
		if err := try(from, middle); err != nil {
			return err
		}
		return try(middle, to)
	}
	err = try(0, len(good))
	b.SortProblems()
	return inserted, err
}

// verdicts lists the samples that were not stored, the first problem of each. The texts of the first are spelled out;
// of very many, the code says enough.
func (s *Server) verdicts(problems []batch.Problem) []wire.Rejection {
	var all []wire.Rejection
	room, last := detailBytes, -1
	for _, p := range problems {
		if p.Index == last {
			continue
		}
		last = p.Index
		r := wire.Rejection{Index: p.Index, Code: p.Code, Detail: strings.TrimPrefix(p.Field+": "+p.What, ": ")}
		if room -= len(r.Detail); room < 0 {
			r.Detail = ""
		}
		all = append(all, r)
		s.metrics.rejected.With(p.Code).Inc()
	}
	return all
}

func strictRefusal(problems []batch.Problem) *problem.Refusal {
	var list []wire.FieldError
	for _, p := range problems[:min(len(problems), maxDetails)] {
		loc := []any{"samples", p.Index}
		if p.Field != "" {
			loc = append(loc, p.Field)
		}
		list = append(list, wire.FieldError{Type: p.Code, Loc: loc, Msg: p.What})
	}
	return &problem.Refusal{Status: 422, Problem: wire.Problem{Detail: list, Code: problems[0].Code}}
}

// prefersLenient reports whether the caller asked for a verdict per sample.
func prefersLenient(r *http.Request) bool {
	for _, line := range r.Header.Values("Prefer") {
		for wish := range strings.SplitSeq(line, ",") {
			wish, _, _ = strings.Cut(wish, ";")
			if strings.EqualFold(strings.TrimSpace(wish), wire.Lenient) {
				return true
			}
		}
	}
	return false
}

// wrote reports how writing to the store went.
func (s *Server) wrote(err error) {
	mixed := s.lastWrite.set(err, s.Now())
	switch {
	case !mixed:
		s.tellStored(err)
	case err != nil:
		s.stored.Report(&health.Fault{Code: "store_partly_unavailable", What: "samples of some devices cannot be stored", Next: s.StoreHint, Err: err})
	}
}

// tellStored reports whether samples can be stored.
func (s *Server) tellStored(err error) {
	if unfit, ok := errors.AsType[*health.Fault](err); ok {
		err = unfit // what an operator must act on has its own words
	} else if err != nil {
		err = &health.Fault{Code: "store_unavailable", What: "samples cannot be stored",
			Next: s.StoreHint, Err: err}
	}
	s.stored.Report(err)
}
