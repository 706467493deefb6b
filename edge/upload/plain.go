package upload

import (
	"net/http"
	"time"

	"sunspool/edge/transport"
)

const (
	plainFor  = time.Hour // until compression is tried again where plain JSON passed and compressed JSON did not
	plainEach = time.Hour // between trials of plain JSON for the same reason
)

// plain is when batches are sent uncompressed: where a server cannot decompress, or something between does not let compressed
// bodies pass or removes Content-Encoding. One trial after an answer that may have that reason shows it; if plain JSON
// fares no better, the next one is an hour later, or at once with a smaller batch, because what refuses compressed
// bodies may refuse large ones as well.
type plain struct {
	until time.Time // no compression before
	tried time.Time // the last trial that showed nothing,
	size  int       // and its samples
}

// compress reports whether the next batch goes compressed.
func (p *plain) compress() bool { return !now().Before(p.until) }

// try reports whether a compressed batch of n samples, which came to err, is to be sent again uncompressed. failures is
// how many requests in a row came to nothing.
func (p *plain) try(err error, n, failures int) bool {
	switch e := err.(type) {
	case *refusal:
		if !e.whole {
			return false // it was read
		}
	case *intermediary:
		if e.status == http.StatusUnsupportedMediaType {
			return true
		}
	case *transport.Interrupted:
		if failures < 2 {
			return false
		}
	default:
		return false
	}
	return p.tried.IsZero() || now().Sub(p.tried) >= plainEach || n < p.size
}

// took records how the same batch fared uncompressed.
func (p *plain) took(err error, n int) {
	s, refused := err.(*refusal)
	if err == nil || refused && !s.whole {
		*p = plain{until: now().Add(plainFor)}
		return
	}
	p.tried, p.size = now(), n
}
