// Package upload moves samples from the spool to the server. A sample leaves the spool when a response has proved that the
// server has it, or when the server has refused it so often that it goes to the quarantine; whatever else happens, it waits.
package upload

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/delivered"
	"sunspool/edge/pace"
	"sunspool/edge/spool"
	"sunspool/edge/token"
	"sunspool/wire"
)

const (
	envelope  = 4 << 10          // bytes of a batch that are not samples, generously
	sizeFor   = time.Hour        // until a limit that a server taught us is tested by a larger batch
	tokenRest = 60 * time.Second // between requests while the token is refused
	idleFor   = time.Hour        // without a sample, until an empty batch shows that one would be taken
	quietFor  = time.Minute      // without an accepted sample, in which refused ones are not yet the fault of the server
)

// errClockAhead is the error of a server that finds every sample of a batch in the future: then one of the clocks is wrong.
var errClockAhead = errors.New("the server finds the samples too far in the future")

// Uploader moves samples from the spool to the server. One goroutine owns it, but for the counters.
//
//	                     ┌── newest few, once in Fresh ──┐
//	spool ── Deliver ────┼── oldest, ever larger batches ┼──> post ──> answer ──> settle: gone from the spool
//	                     └── halves and single suspects ─┘                  └───> bisection, suspects (refusals.go)
type Uploader struct {
	Spool     *spool.Spool
	Client    *http.Client
	Clock     *clock.Clock      // gets the Date of each response; may be nil
	Copies    *delivered.Copies // of what the server has; nil keeps none
	URL       string            // of the ingest
	Token     *token.Source
	Agent     string // User-Agent; names our version
	Zone      string // of the inverter's days
	Describe  func() *wire.Edge
	BatchSize int           // samples per request while there is no backlog
	Fresh     time.Duration // how often the newest samples overtake a backlog; 0 is never
	Backoff   pace.Backoff

	size         int // samples in the next batch
	limit        int // the most that the server takes, as far as we know
	limitBytes   int // the same, of a body before it is compressed
	limitSince   time.Time
	sizeLimit    sizeLimit // of the samples in a batch, by what came to nothing
	plain        plain
	json         wire.Encoder
	gzip         *gzip.Writer
	ahead        ahead
	onWire       int       // bytes of the last request's body
	provedAt     time.Time // the last answer by which the server took a batch, an empty one included
	freshAt      time.Time // when the newest samples went last
	othersNext   bool      // go next: the newest came to nothing
	notBefore    time.Time // of the next request, as the server asked
	version      string    // of the server, "" if it is not known
	triedVersion string    // the last version for which the quarantine was tried again,
	triedAt      time.Time // and when
	mixed        bool      // what was tried again goes with new samples: refused alone it would be a suspect for long

	identity     serverIdentity
	deviceChange deviceChange
	refusals     refusals
	oversize     oversize
	refill       refill

	Requests, Uploaded, Duplicates, Rejected, Refilled, RefillRejected atomic.Int64
}

// batch is what one request carries, and why.
type batch struct {
	records    []spool.Record
	bisected   bool // the top of the bisection
	tokenProbe bool // one sample that shows whether the token is good
	fresh      bool // the newest
}

// Deliver makes one request and settles its samples by the response. It reports whether there may be more that
// can be sent at once.
func (u *Uploader) Deliver(ctx context.Context) (more bool, err error) {
	if u.limit == 0 {
		if err := u.beginQuarantine(); err != nil {
			return false, err
		}
		u.limit, u.limitBytes, u.size = wire.MaxSamples, wire.MaxBytes, u.BatchSize
	}
	defer func() {
		u.refusals.Bisecting.Store(int64(u.refusals.bisection.size()))
		if !more {
			u.ahead.prepared = nil
		}
	}()
	if wait := u.notBefore.Sub(now()); wait > 0 {
		return false, &later{why: "the server asked for time", after: wait}
	}
	u.deviceChange.expire()
	u.refusals.future.expire(u.Spool.Redated())
	if err := u.recordAccepted(0); err != nil { // the breaker may close by time alone
		return false, err
	}
	b, err := u.next()
	if err != nil {
		return false, err
	}
	if len(b.records) == 0 {
		if u.Spool.Ready() > 0 || now().Sub(u.provedAt) < idleFor {
			return false, nil
		}
		return false, u.uploadNothing(ctx)
	}
	if err := u.send(ctx, b); err != nil {
		u.othersNext = b.fresh
		return false, err
	}
	u.Backoff.Reset()
	more = u.Spool.Ready() > 0
	u.resize(len(b.records), more)
	more, u.mixed = more && !u.mixed, false
	return more, nil
}

// uploadNothing sends an empty batch: the name, the way, the certificate and the token are in order if it is taken, long before
// the inverter gives a sample.
func (u *Uploader) uploadNothing(ctx context.Context) error {
	_, _, _, err := u.post(ctx, nil, 0)
	if b, ok := err.(*intermediary); ok && b.tooLarge() && !u.oversize.bare() {
		u.oversize.bareUntil = now().Add(plainFor)
		b.atOnce = true
	}
	if _, ok := err.(*refusal); ok { // a server that demands samples has read the token, too
		err = nil
	}
	u.delay(err)
	if err == nil {
		u.provedAt = now()
		u.Backoff.Reset()
	}
	return err
}

// delay makes no request for as long as the server asks for.
func (u *Uploader) delay(err error) {
	var wait time.Duration
	switch e := err.(type) {
	case *later:
		wait = e.after
	case *intermediary:
		wait = e.after
	}
	if wait > 0 {
		u.notBefore = now().Add(wait)
	}
}

// next chooses what goes next. The newest samples come first when they are due, so that a reader sees the present
// while weeks of backlog drain; then, within their budget, the trials of samples that were refused; then the oldest.
func (u *Uploader) next() (b batch, err error) {
	if u.deviceChange.tokenProbe {
		b.tokenProbe = true
		b.records, err = u.Spool.PeekNewest(1, nil)
		return b, err
	}
	hunting := len(u.refusals.bisection) > 0
	others := u.othersNext
	u.othersNext = false
	if !others && u.Fresh > 0 && now().Sub(u.freshAt) >= u.Fresh && (hunting || u.Spool.Ready() > u.size) {
		u.freshAt, b.fresh = now(), true
		if b.records, err = u.Spool.PeekNewest(u.sizeLimit.of(min(u.BatchSize, u.limit)), u.excluded); err != nil || len(b.records) > 0 {
			return b, err
		}
	}
	if b, err = u.trial(); err != nil || len(b.records) > 0 {
		return b, err
	}
	if u.refusals.bisection.size() > wire.MaxSamples {
		return batch{}, nil // the bisection holds up enough already
	}
	b.records, err = u.Spool.PeekAgain(u.ahead.known(), u.size, u.excluded)
	return b, err
}

// Wait is how long to leave the server alone after err.
func (u *Uploader) Wait(err error) time.Duration {
	wait := u.Backoff.Next()
	if u.Backoff.Failures() >= 2 {
		u.Client.CloseIdleConnections()
	}
	switch e := err.(type) {
	case *later:
		return max(wait, e.after)
	case *denied:
		return max(pace.Jitter(tokenRest), tokenRest)
	case *tooLarge:
		return 0 // a smaller batch may pass
	case *intermediary:
		if e.atOnce {
			return e.after
		}
		return max(wait, e.wait())
	}
	return wait
}

// send posts a batch and settles it by the answer: what the server has and what it will never take leaves the spool in
// one transaction.
func (u *Uploader) send(ctx context.Context, b batch) error {
	records := u.oneRequest(b.records)
	next := u.sizeAfter(len(b.records), true)
	if b.tokenProbe {
		next = 0 // the others wait for what it shows
	}
	begun := now()
	sent, bytes, receipt, err := u.post(ctx, records, next)
	took := now().Sub(begun)
	u.ahead.Wait()
	records = records[:sent]
	u.adaptSize(ctx, sent, err, took)
	u.delay(err)
	switch e := err.(type) {
	case nil:
		if b.tokenProbe {
			u.tokenAccepted(records[0].Sample.DeviceID)
		}
		if len(receipt.Rejected) < sent { // a response that refuses all proves nothing
			u.provedAt = now()
		}
		if err := u.settle(records, receipt); err != nil {
			return err
		}
		if b.bisected {
			u.refusals.bisection.accepted(sent, len(receipt.Rejected) == 0)
		}
		return u.requeueForVersion()
	case *unsendable:
		poison := spool.Rejection{Seq: records[0].Seq, Code: "not_encodable", Detail: clip(e.Error()), First: now(), Last: now()}
		u.refusals.recordRefusal(poison) // so that it is out of the way even when the quarantine is full
		return u.quarantine(poison)
	case *intermediary:
		e.atOnce = e.tooLarge() && u.tooLargeForIntermediary(b, records)
	case *tooLarge:
		if sent == 1 && !b.tokenProbe {
			return u.refused(records, b.bisected, &refusal{code: "too_large", why: e.why})
		}
		u.deviceChange.tokenProbe = false
		u.limit, u.limitBytes, u.limitSince = max(sent/2, 1), bytes/2, now()
		u.size = u.limit
	case *refusal:
		if b.tokenProbe { // it shows nothing about the token
			u.deviceChange.tokenProbe = false
			return e
		}
		return u.refused(records, b.bisected, e)
	case *denied:
		return u.tokenRefused(records, b.bisected, e)
	}
	return err
}

// settle acts on a receipt for records. Our own server reports for each sample whether it took it: no bisection is needed.
func (u *Uploader) settle(records []spool.Record, receipt wire.Receipt) error {
	verdict := make(map[int]wire.Rejection, len(receipt.Rejected))
	for _, r := range receipt.Rejected {
		verdict[r.Index] = r
	}
	var stored []uint64
	var ahead []spool.Record
	var newest time.Time
	var poisoned []spool.Rejection
	var copies []*wire.Sample
	for i, r := range records {
		rejected, bad := verdict[i]
		switch {
		case !bad:
			stored, copies = append(stored, r.Seq), append(copies, &records[i].Sample)
			if r.Sample.Time.After(newest) {
				newest = r.Sample.Time
			}
		case rejected.Code == wire.CodeInFuture:
			ahead = append(ahead, r)
		default:
			poisoned = append(poisoned, spool.Rejection{Seq: r.Seq, Code: rejected.Code, Detail: clip(rejected.Detail), First: now(), Last: now()})
		}
	}
	u.refusals.noteRefusals(poisoned, len(stored))
	kept, err := u.classify(poisoned, len(stored))
	if err != nil {
		return err
	}
	if fresh := u.rejectedFuture(ahead); fresh && len(ahead) == len(records) {
		return fmt.Errorf("%w: %s", errClockAhead, clip(receipt.Rejected[0].Detail))
	}
	if err := u.Spool.Settle(stored, kept); err != nil {
		return err
	}
	for _, s := range copies {
		u.Copies.Add(s)
	}
	u.refusals.forget(stored)
	for _, p := range kept {
		u.refusals.forget([]uint64{p.Seq})
	}
	u.refusals.future.taken(stored)
	u.oversize.passed(stored, u.onWire)
	if u.Clock != nil {
		u.Clock.Accepted(newest)
	}
	u.Uploaded.Add(int64(len(stored)))
	u.Duplicates.Add(int64(len(stored) - receipt.Inserted))
	u.Rejected.Add(int64(len(kept)))
	return u.recordAccepted(len(stored))
}

// requeueForVersion tries the quarantine again with a server of another version, if its version is known. Behind one name there
// may be servers of two versions, while they are updated or for long: each is tried, but a version that was tried is not
// tried again for a day.
func (u *Uploader) requeueForVersion() error {
	if u.version == "" || u.version == u.triedVersion {
		return nil
	}
	last, known, err := u.Spool.Met("server", u.version)
	rest := versionRest
	if known {
		rest = requeueRest
	}
	switch {
	case err != nil:
		return err
	case last:
		u.triedVersion = u.version
		return nil
	case !u.triedAt.IsZero() && now().Sub(u.triedAt) < rest:
		return nil
	}
	moved, err := u.Spool.RequeueOnce("server", u.version)
	if err == nil {
		u.triedVersion, u.triedAt, u.mixed = u.version, now(), moved > 0
	}
	return err
}
