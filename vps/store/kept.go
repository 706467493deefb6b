package store

import (
	"hash/maphash"
	"sync"
)

// Kept has what was computed, by a hash of all that it was computed from: what is stored is in it as its Digest. So it is never
// old, whoever has changed what is stored, and whenever. What was not asked for lately makes room.
type Kept[V any] struct {
	mu         sync.Mutex
	young, old map[uint64]V
}

// MostKept is how many values a Kept has at most. They have up to 1.3 kB each.
const MostKept = 7000

var seed = maphash.MakeSeed()

// NewHash returns a hash for keys.
func NewHash() *maphash.Hash {
	h := new(maphash.Hash)
	h.SetSeed(seed)
	return h
}

// KeyOf returns the key of a hash, which is not 0.
func KeyOf(h *maphash.Hash) uint64 { return max(h.Sum64(), 1) }

// Get returns what was put by a key; false for none, as for the key 0.
func (m *Kept[V]) Get(key uint64) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok = m.young[key]; ok {
		return v, true
	}
	if v, ok = m.old[key]; ok {
		m.keep(key, v)
	}
	return v, ok
}

// Put keeps v by a key, unless that is 0.
func (m *Kept[V]) Put(key uint64, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key != 0 {
		m.keep(key, v)
	}
}

func (m *Kept[V]) keep(key uint64, v V) {
	if m.young == nil || len(m.young) >= MostKept/2 {
		m.young, m.old = map[uint64]V{}, m.young
	}
	m.young[key] = v
}
