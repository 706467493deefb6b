package upload

import (
	"crypto/sha256"
	"net/http"
	"sync/atomic"
	"time"

	"sunspool/edge/spool"
)

// origin is who answers. A refusal is worth a search for the poison only when whoever refuses has shown before, in the
// last hour and with the same key, that it is a server of the contract.
type origin struct {
	key    [sha256.Size]byte // of its certificate
	seen   time.Time         // when it last answered as a server of the contract
	known  bool              // the present answer comes from one that had done so before
	recent bool              // and that only minutes ago
}

// answered notes an answer, and whether it is one that only a server of the contract gives.
func (p *origin) answered(resp *http.Response, proper bool) {
	var key [sha256.Size]byte
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		key = sha256.Sum256(resp.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
	}
	met := key == p.key && !p.seen.IsZero()
	p.known, p.recent = met && now().Sub(p.seen) < trustFor, met && now().Sub(p.seen) < restartTime
	if proper {
		p.key, p.seen = key, now()
	}
}

// rename is what follows when a device got another name while samples of the old one waited: the server refuses these
// with 403, as it does with a token that is not good for any. One sample that goes alone tells the two cases apart. A 403
// is believed only when the server took something since the one before.
type rename struct {
	probe   bool      // the next batch is that sample
	device  string    // that the token was good for,
	vouched time.Time // and when
	refused time.Time // when the last 403 came

	upTo  uint64    // samples up to this number wait until
	until time.Time // then they are tried again

	Held atomic.Pointer[string] // the old name, while its samples wait
}

func (r *rename) holds(seq uint64) bool { return seq <= r.upTo }

// expire ends the waiting of an old name's samples: they are tried again.
func (r *rename) expire() {
	if r.upTo > 0 && !now().Before(r.until) {
		r.upTo = 0
		r.Held.Store(nil)
	}
}

func (u *Uploader) vouch(device string) {
	u.rename.probe, u.rename.device, u.rename.vouched = false, device, now()
}

// forbidden deals with records that the server refused to this token. If another sample proves that the token is good,
// samples of another device wait until the operator has decided about them, and do not hold up ours; among our own a
// poison is searched for.
func (u *Uploader) forbidden(records []spool.Record, hunted bool, e *denied) error {
	r, p := &u.rename, &u.poison
	good := e.forbidden && u.origin.known && !r.probe && p.accepted.After(r.refused) && now().Sub(r.vouched) < trustFor
	r.refused = now()
	if !good {
		r.probe = e.forbidden
		return e
	}
	if old := records[0].Sample.DeviceID; old != r.device {
		if hunted {
			u.poison.hunt = nil // it is not the samples
		}
		r.upTo, r.until = records[len(records)-1].Seq, now().Add(trustFor)
		r.Held.Store(&old)
		return nil
	}
	return u.refused(records, hunted, &suspect{code: "forbidden", why: e.why})
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
