package auth

import (
	"context"
	"sync"
	"time"

	"sunspool/vps/store"
)

// memory is a store of tokens without a file, which can be away. Package storetest has what real ones do.
type memory struct {
	mu      sync.Mutex
	all     []store.Token
	version int64
	read    int
	err     error
}

func (m *memory) fail(err error) { m.mu.Lock(); defer m.mu.Unlock(); m.err = err }
func (m *memory) reads() int     { m.mu.Lock(); defer m.mu.Unlock(); return m.read }

func (m *memory) Tokens(context.Context) ([]store.Token, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read++
	return append([]store.Token(nil), m.all...), m.version, m.err
}

func (m *memory) TokensVersion(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version, m.err
}

func (m *memory) AddToken(_ context.Context, t store.Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, t)
	m.version++
	return m.err
}

func (m *memory) RevokeToken(_ context.Context, id string, at time.Time) (store.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.all {
		if m.all[i].ID == id {
			m.all[i].Revoked = at
			m.version++
			return m.all[i], m.err
		}
	}
	return store.Token{}, store.ErrNoToken
}

func (m *memory) UseTokens(context.Context, map[string]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}
