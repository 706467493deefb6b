package upload

import (
	"bytes"
	"slices"
	"sync"

	"sunspool/edge/spool"
)

// prepared is a body up to its end, and what it was made of. While a backlog drains, the next one is made while a request is
// under way, because reading, encoding and compressing take as long as the server takes for its part: else each would wait
// for the other. It is a guess: the answer may refuse samples, lower a limit or let something else go first, and the spool may
// change. So nothing is decided by it. What goes next is chosen as if there was no prepared body, and it is used if it is made
// of the very same samples under the same limit.
//
//	request   ├── batch 1 ──┤├── batch 2 ──┤├── batch 2 again ──┤
//	prepare   ├─ batch 2 ─┤   ├─ batch 3 ─┤ refused: thrown away
//
// There is at most one, only while more than a full batch waits behind the one that is under way, and it is dropped when a
// request comes to nothing. The goroutine that makes it reads the spool and the Uploader, which nothing changes until it is
// over, and has the encoder and the compressor for that time.
type prepared struct {
	records []spool.Record // that were chosen,
	most    int            // bytes of them that may be sent,
	n       int            // and how many of them are in the body
	body    bytes.Buffer
	packed  bytes.Buffer // the body compressed, as far as the compressor has written it,
	zipped  bool         // if that has begun
}

// ahead is the body that is prepared for the next request.
type ahead struct {
	*prepared // nil if there is none
	sync.WaitGroup
}

// known returns the records of a that need not be read again.
func (a *ahead) known() []spool.Record {
	if a.prepared == nil {
		return nil
	}
	return a.records
}

// made reports whether p is what encode would make of records.
func (p *prepared) made(records []spool.Record, most int) bool {
	return p.most == most && slices.EqualFunc(p.records, records, func(a, b spool.Record) bool { return a.Seq == b.Seq && a.Sum == b.Sum })
}

// most is how many bytes of samples fit in a request.
func (u *Uploader) most() int { return max(u.limitBytes-envelope, u.limitBytes/2) }

// take returns the body of records up to its end: the prepared one if it is that, else a new one.
func (u *Uploader) take(records []spool.Record) (*prepared, error) {
	p := u.ahead.prepared
	u.ahead.prepared = nil // its compressor is used again
	if p != nil && p.made(records, u.most()) {
		return p, nil
	}
	return u.encode(records, u.most())
}

// prepare begins to make the body of the oldest samples, up to size, without the first sent of records, which are under way.
func (u *Uploader) prepare(records []spool.Record, sent, size int) {
	if size == 0 || u.Backoff.Failures() > 0 || len(u.refusals.bisection) > 0 || u.Spool.Ready() < sent+size {
		return
	}
	most, compress := u.most(), u.plain.compress()
	under := numbers(records[:sent])
	u.ahead.Go(func() {
		next, err := u.Spool.Preview(records[sent:], size, func(seq uint64) bool {
			_, sent := slices.BinarySearch(under, seq)
			return sent || u.excluded(seq)
		})
		if next = u.oneRequest(next); err != nil || len(next) == 0 {
			return
		}
		p, err := u.encode(next, most)
		if err != nil {
			return
		}
		if compress {
			u.zip(p)
		}
		u.ahead.prepared = p
	})
}
