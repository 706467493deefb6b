package upload

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"sunspool/edge/spool"
	"sunspool/wire"
)

// refill sends again what the server lost: it was restored from a backup, for example. The server asks what is kept of
// delivered samples, and names the hours of which it has less. Their samples go while nothing else has to, and apart from all
// that is done for samples of the spool: a copy that is refused is counted and left, nothing is bisected, and what cannot be
// sent is given up. The server asks again in an hour, and what is missing then goes then, as after a restart.
type refill struct {
	asked     bool    // the server asks what is kept
	hours     []int64 // that it lacks and that were not sent yet, ascending
	of        int64   // the hour of
	samples   []wire.Sample
	stored    int // samples of that hour that the server has now,
	fresh     int // and those that it had not
	total     int // new ones since the comparison
	most      int // samples in a request
	failures  int // in a row
	notBefore time.Time
}

const (
	refillTries = 5
	refillRest  = 10 * time.Second // after the first error; each further one doubles it
	refillMost  = 500              // samples in a request: other edges send theirs at the same time
)

// note reads what a receipt has about copies.
func (r *refill) note(receipt *wire.Receipt) { r.asked = r.asked || receipt.Compare }

// Refill makes the next request of a refill, and reports whether there may be more to do at once. It is called while nothing
// of the spool can be sent. It reports no error: the link to the server is judged by what matters.
func (u *Uploader) Refill(ctx context.Context) (more bool) {
	r := &u.refill
	if u.Copies == nil || u.Backoff.Failures() > 0 || u.oversize.bare() || u.deviceChange.tokenProbe || now().Before(r.notBefore) {
		return false
	}
	for len(r.samples) == 0 && len(r.hours) > 0 {
		u.nextHour()
	}
	var err error
	switch {
	case len(r.samples) > 0:
		err = u.sendAgain(ctx)
	case r.asked:
		err = u.compare(ctx)
	default:
		return false
	}
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		r.failures = 0
		return true
	}
	r.failures++
	r.notBefore = now().Add(refillRest << (r.failures - 1))
	if e, ok := err.(*later); ok {
		r.notBefore = now().Add(max(refillRest, e.after))
	} else {
		r.most = max(r.most/2, 1) // it may be too large for something
	}
	if r.failures >= refillTries {
		u.Copies.Log.Warn("samples that the server lacks are not sent again now", "hours", len(r.hours), "error", err.Error())
		r.asked, r.hours, r.samples, r.failures = false, nil, nil, 0
	}
	return false
}

// compare sends what is kept, in a batch without samples, and takes the hours that the server lacks.
func (u *Uploader) compare(ctx context.Context) error {
	r := &u.refill
	kept := u.Copies.Hours()
	if len(kept) == 0 {
		r.asked = false
		return nil
	}
	receipt, err := u.request(ctx, nil, &wire.Kept{DeviceID: u.Copies.Device, Hours: kept})
	if err != nil {
		return err
	}
	r.asked = receipt.Compare
	for _, pair := range kept {
		for _, span := range receipt.Missing {
			if span[0] <= pair[0] && pair[0] < span[1] {
				r.hours = append(r.hours, pair[0])
				break
			}
		}
	}
	if r.total, r.most = 0, refillMost; len(r.hours) > 0 {
		u.Copies.Log.Info("the server lacks samples that it had: they are sent again", "hours", len(r.hours))
	}
	return nil
}

// nextHour reads the samples of the next hour.
func (u *Uploader) nextHour() {
	r := &u.refill
	r.of, r.hours, r.stored, r.fresh = r.hours[0], r.hours[1:], 0, 0
	r.samples = u.Copies.SamplesOf(r.of)
	u.settled(0)
}

// sendAgain sends the next samples of the hour.
func (u *Uploader) sendAgain(ctx context.Context) error {
	r := &u.refill
	records := make([]spool.Record, min(len(r.samples), r.most, u.limit))
	for i := range records {
		records[i].Sample = r.samples[i]
	}
	p, err := u.encode(records, u.most())
	if err != nil { // JSON has no form for the first, so it was never delivered
		u.settled(1)
		return nil
	}
	receipt, err := u.request(ctx, p, nil)
	if err != nil {
		return err
	}
	refused := len(receipt.Rejected)
	r.stored, r.fresh = r.stored+p.n-refused, r.fresh+receipt.Inserted
	u.Refilled.Add(int64(receipt.Inserted))
	u.RefillRejected.Add(int64(refused))
	u.settled(p.n)
	return nil
}

// settled records that the next n samples of the hour are done with, and at its end what became of it.
func (u *Uploader) settled(n int) {
	r := &u.refill
	if r.samples = r.samples[n:]; len(r.samples) > 0 {
		return
	}
	u.Copies.Sent(r.of, r.stored, r.fresh)
	if r.total += r.fresh; len(r.hours) == 0 {
		u.Copies.Log.Info("sent again what the server lacked", "samples", r.total)
	}
}

// request sends a batch of copies, or one without samples that has kept. A part of the batch that is prepared for samples of
// the spool is not touched: there is none while nothing of it can be sent.
func (u *Uploader) request(ctx context.Context, p *prepared, kept *wire.Kept) (wire.Receipt, error) {
	if p == nil {
		p, _ = u.encode(nil, 0)
	}
	id := rand.Text()
	end, err := u.end(id)
	if err != nil {
		return wire.Receipt{}, err
	}
	if kept != nil {
		text, _ := json.Marshal(kept) // which has always a form
		end = append(append(append(end[:len(end)-1], `,"kept":`...), text...), '}')
	}
	compress := u.plain.compress()
	body, packed := u.finish(p, end, compress)
	if compress {
		body = packed
	}
	return u.try(ctx, body, compress, p.n, id)
}
