package upload

import (
	"crypto/sha256"
	"net/http"
	"time"
)

// serverIdentity is the key of the server that answers. A rejected batch is bisected only if this server, with the same
// certificate key, returned a valid API response within the last hour.
type serverIdentity struct {
	key    [sha256.Size]byte // of its certificate
	seen   time.Time         // of its last valid API response
	known  bool              // the present response comes from a server that had given one before
	recent bool              // and that only minutes ago
}

// observe records a response, and whether it is one that only a server of the API gives.
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
