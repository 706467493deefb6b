package upload

import (
	"crypto/sha256"
	"net/http"
	"time"
)

// serverIdentity is who answers. A refusal is worth a search for the poison only when whoever refuses has shown before, in the
// last hour and with the same key, that it is a server of the contract.
type serverIdentity struct {
	key    [sha256.Size]byte // of its certificate
	seen   time.Time         // when it last answered as a server of the contract
	known  bool              // the present answer comes from one that had done so before
	recent bool              // and that only minutes ago
}

// observe notes an answer, and whether it is one that only a server of the contract gives.
func (p *serverIdentity) observe(resp *http.Response, proper bool) {
	var key [sha256.Size]byte
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		key = sha256.Sum256(resp.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
	}
	met := key == p.key && !p.seen.IsZero()
	p.known, p.recent = met && now().Sub(p.seen) < serverKnownFor, met && now().Sub(p.seen) < restartFor
	if proper {
		p.key, p.seen = key, now()
	}
}
