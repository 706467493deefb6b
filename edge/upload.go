package edge

import (
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"sunspool/wire"
)

const (
	envelope    = 4 << 10          // bytes of a batch that are not samples, generously
	sizeFor     = time.Hour        // until a limit that a server taught us is tested by a larger batch
	plainFor    = 24 * time.Hour   // until compression is tried again on a server that refused it
	tokenRest   = 60 * time.Second // between requests while the token is refused
	suspectRest = 5 * time.Minute  // between trials of a sample that was refused
	enough      = 3                // refusals that make a poison
	longEnough  = 10 * time.Minute // between the first and the last of them
	tooMany     = 50               // suspects at a time: then it is not the samples
)

// errSchema is a server that refuses so much that the fault must be between us, not in the samples.
var errSchema = errors.New("the server refuses sample after sample: nothing is given up")

// Uploader moves samples from the spool to the server. One goroutine owns it, but for the counters.
type Uploader struct {
	Spool     *Spool
	Client    *http.Client
	Clock     *Clock // hears the Date of each answer; may be nil
	URL       string // of the ingest
	Token     *Token
	Agent     string // User-Agent
	Zone      string // of the inverter's days
	Describe  func() *wire.Edge
	BatchSize int // samples per request while there is no backlog
	Backoff   Backoff

	size       int // samples in the next batch
	limit      int // the most that the server takes, as far as we know
	limitSince time.Time
	plainUntil time.Time // no compression before
	gzipTaken  bool      // the server did read a compressed batch
	gzip       *gzip.Writer
	suspects   map[uint64]*suspicion

	Requests, Uploaded, Duplicates, Rejected atomic.Int64
}

// suspicion is the record of a sample that the server refused on its own.
type suspicion struct {
	Poison
	times   int
	retryAt time.Time
}

// Deliver sends one batch of the oldest samples and settles what the answer says of them. It reports whether more are
// waiting that can be sent at once.
func (u *Uploader) Deliver(ctx context.Context) (more bool, err error) {
	if u.limit == 0 {
		u.limit, u.size = wire.MaxSamples, u.BatchSize
	}
	records, err := u.Spool.Peek(u.size, u.aside)
	if err != nil || len(records) == 0 {
		return false, err
	}
	if err := u.send(ctx, records); err != nil {
		return false, err
	}
	u.Backoff.Reset()
	more = u.Spool.Ready() > len(u.suspects)
	u.resize(len(records), more)
	return more, nil
}

// Wait is how long to leave the server alone after err.
func (u *Uploader) Wait(err error) time.Duration {
	wait := u.Backoff.Next()
	if u.Backoff.failures >= 2 {
		u.Client.CloseIdleConnections()
	}
	switch e := err.(type) {
	case *later:
		return max(wait, e.after)
	case *denied:
		return max(jitter(tokenRest), tokenRest)
	case *tooLarge:
		return 0 // a smaller batch may pass
	}
	return wait
}

// resize makes batches grow while there is a backlog, and small again when there is none.
func (u *Uploader) resize(sent int, more bool) {
	if u.limit < wire.MaxSamples && now().Sub(u.limitSince) > sizeFor {
		u.limit, u.limitSince = min(u.limit+u.limit/4+1, wire.MaxSamples), now()
	}
	switch {
	case !more:
		u.size = u.BatchSize
	case sent == u.size:
		u.size *= 2
	}
	u.size = max(1, min(u.size, u.limit))
}

// send posts records and settles them by the answer: what the server has and what it will never take leaves the
// spool in one transaction. When the server refuses the batch as a whole, halves of it find the sample it means.
func (u *Uploader) send(ctx context.Context, records []Record) error {
	sent, receipt, err := u.post(ctx, records)
	switch e := err.(type) {
	case nil:
		return u.settle(records[:sent], receipt)
	case *tooLarge:
		if sent == 1 {
			return u.accuse(records[0], &suspect{"too_large", e.why})
		}
		u.limit, u.limitSince = sent/2, now()
		u.size = u.limit
		return e
	case *suspect:
		if sent == 1 {
			return u.accuse(records[0], e)
		}
		if err := u.send(ctx, records[:sent/2]); err != nil {
			return err
		}
		return u.send(ctx, records[sent/2:sent])
	}
	return err
}

// settle acts on a receipt for records.
func (u *Uploader) settle(records []Record, receipt wire.Receipt) error {
	verdict := make(map[int]wire.Rejection, len(receipt.Rejected))
	for _, r := range receipt.Rejected {
		verdict[r.Index] = r
	}
	var stored []uint64
	var poisoned []Poison
	for i, r := range records {
		rejected, bad := verdict[i]
		switch {
		case !bad:
			stored = append(stored, r.Seq)
			delete(u.suspects, r.Seq)
		case rejected.Code == wire.CodeInFuture: // one of the clocks is wrong, not the sample
			u.fromFuture(r.Seq)
		default:
			poisoned = append(poisoned, Poison{r.Seq, rejected.Code, clip(rejected.Detail), now(), now()})
			delete(u.suspects, r.Seq)
		}
	}
	if err := u.Spool.Settle(stored, poisoned); err != nil {
		return err
	}
	u.Uploaded.Add(int64(len(stored)))
	u.Duplicates.Add(int64(len(stored) - receipt.Inserted))
	u.Rejected.Add(int64(len(poisoned)))
	return nil
}

// accuse notes that the server refused r on its own. It is given up only after it was refused again and again for the
// same reason, over a time in which a server's mistake is mended.
func (u *Uploader) accuse(r Record, e *suspect) error {
	if e.code == wire.CodeInFuture {
		u.fromFuture(r.Seq)
		return nil
	}
	s := u.suspicion(r.Seq)
	if s.times == 0 || s.Code != e.code {
		s.Poison, s.times = Poison{r.Seq, e.code, clip(e.why), now(), now()}, 0
	}
	s.times++
	s.Last, s.retryAt = now(), now().Add(suspectRest)
	if len(u.suspects) > tooMany {
		return errSchema
	}
	if s.times < enough || s.Last.Sub(s.First) < longEnough {
		return nil
	}
	if err := u.Spool.Settle(nil, []Poison{s.Poison}); err != nil {
		return err
	}
	delete(u.suspects, r.Seq)
	u.Rejected.Add(1)
	return nil
}

// fromFuture sets a sample aside until one of the clocks is set right.
func (u *Uploader) fromFuture(seq uint64) {
	u.suspicion(seq).retryAt = now().Add(suspectRest)
	if u.Clock != nil {
		u.Clock.Accused()
	}
}

func (u *Uploader) suspicion(seq uint64) *suspicion {
	if u.suspects == nil {
		u.suspects = make(map[uint64]*suspicion)
	}
	if u.suspects[seq] == nil {
		u.suspects[seq] = new(suspicion)
	}
	return u.suspects[seq]
}

// aside reports whether a sample is to be left out for now, so that it does not hold up the others.
func (u *Uploader) aside(seq uint64) bool {
	s, ok := u.suspects[seq]
	return ok && now().Before(s.retryAt)
}
