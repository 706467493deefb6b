package store

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// MaxAside is how many samples of a device are set aside at most.
const MaxAside = 10_000

// ErrAsideFull is returned by SetAside when more than MaxAside samples of the device would be set aside.
var ErrAsideFull = fmt.Errorf("%w: %d samples of the device are set aside", ErrRefused, MaxAside)

// Aside is a sample that was accepted without being stored as one: it has an impossible time, and its sender does not
// continue before it is accepted.
type Aside struct {
	Number   int64     `json:"number"` // of its device, in the order of arrival; given by the store
	Received time.Time `json:"received"`
	Code     string    `json:"code"` // why it is not stored as a sample, as in the answer to an upload
	JSON     []byte    `json:"-"`    // as it was sent
}

// AsideKey identifies a sample that is set aside. With impossible times, such as those of a clock that starts again each
// time, the time alone does not.
type AsideKey [16]byte

// KeyOfAside returns the key of a sample as it was sent.
func KeyOfAside(json []byte) AsideKey {
	sum := sha256.Sum256(json)
	return AsideKey(sum[:len(AsideKey{})])
}

// UniqueAside returns those of samples whose key is not known, each once, and their keys.
func UniqueAside(samples []Aside, known func(AsideKey) bool) (some []Aside, keys []AsideKey) {
	seen := map[AsideKey]bool{}
	for _, s := range samples {
		if k := KeyOfAside(s.JSON); !seen[k] && !known(k) {
			seen[k] = true
			some, keys = append(some, s), append(keys, k)
		}
	}
	return some, keys
}
