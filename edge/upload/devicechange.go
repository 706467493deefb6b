package upload

import (
	"sync/atomic"
	"time"

	"sunspool/edge/spool"
)

// deviceChange handles a device that got another name while samples of the old one waited: the server refuses these
// with 403, as it does with a token that is not good for any. One sample that is sent alone separates the two
// cases. A 403 counts only when the server took something since the one before.
type deviceChange struct {
	tokenProbe bool      // the next batch is that sample
	accepted   string    // that the token was good for,
	acceptedAt time.Time // and when
	refusedAt  time.Time // when the last 403 came

	upTo  uint64    // samples up to this number wait until
	until time.Time // then they are tried again

	Waiting atomic.Pointer[string] // the old name, while its samples wait
}

func (r *deviceChange) covers(seq uint64) bool { return seq <= r.upTo }

// expire ends the waiting of an old name's samples: they are tried again.
func (r *deviceChange) expire() {
	if r.upTo > 0 && !now().Before(r.until) {
		r.upTo = 0
		r.Waiting.Store(nil)
	}
}

func (u *Uploader) tokenAccepted(device string) {
	u.deviceChange.tokenProbe, u.deviceChange.accepted, u.deviceChange.acceptedAt = false, device, now()
}

// tokenRefused deals with records that the server refused to this token. If another sample proves that the token is good,
// samples of another device wait until the operator has decided about them, and do not hold up ours; among our own a
// poison is searched for.
func (u *Uploader) tokenRefused(records []spool.Record, hunted bool, e *denied) error {
	r, p := &u.deviceChange, &u.refusals
	good := e.forbidden && u.identity.known && !r.tokenProbe && p.accepted.After(r.refusedAt) && now().Sub(r.acceptedAt) < serverKnownFor
	r.refusedAt = now()
	if !good {
		r.tokenProbe = e.forbidden
		return e
	}
	if old := records[0].Sample.DeviceID; old != r.accepted {
		if hunted {
			u.refusals.bisection = nil // it is not the samples
		}
		r.upTo, r.until = records[len(records)-1].Seq, now().Add(serverKnownFor)
		r.Waiting.Store(&old)
		return nil
	}
	return u.refused(records, hunted, &refusal{code: "forbidden", why: e.why})
}

// ofOneDevice returns the records up to the first of another device.
func ofOneDevice(records []spool.Record) []spool.Record {
	for i, r := range records {
		if r.Sample.DeviceID != records[0].Sample.DeviceID {
			return records[:i]
		}
	}
	return records
}
