package auth

import (
	"crypto/subtle"
	"strings"
	"sync/atomic"
	"time"

	"sunspool/vps/store"
)

// ExpectStored makes t wait for the tokens of a store: until they were read, a token that is unknown may be one of them.
func (t *Tokens) ExpectStored() { t.unread.Store(true) }

// Unread reports whether the tokens of the store were not read yet.
func (t *Tokens) Unread() bool { return t.unread.Load() }

// setStored swaps all tokens of the store for those of all that are valid at the time now.
func (t *Tokens) setStored(all []store.Token, now time.Time) {
	t.replace(func() {
		used := map[string]*lastUse{}
		for id, u := range t.used {
			if u.unnoted() { // also that of a token that is revoked now
				used[id] = u
			}
		}
		t.stored, t.offers = nil, map[TokenSum]store.Token{}
		for i := range all {
			one := &all[i]
			if len(one.Sum) != len(TokenSum{}) || !one.Valid(now) {
				continue
			}
			if one.Role == store.RolePairing {
				t.offers[TokenSum(one.Sum)] = *one
				continue
			}
			e := entry{sum: TokenSum(one.Sum), Caller: callerOf(one), expires: one.Expires, used: t.used[one.ID]}
			e.id = sessionID(e.sum)
			if e.used == nil {
				e.used = new(lastUse)
			}
			used[one.ID] = e.used
			t.stored = append(t.stored, e)
		}
		t.used = used
	})
	t.unread.Store(false)
}

func callerOf(t *store.Token) Caller {
	who := Caller{Device: AnyDevice, Viewer: t.Role != store.RoleDevice, Admin: t.Role == store.RoleAdmin}
	if t.Devices != nil {
		who.Device = strings.Join(t.Devices, and)
	}
	return who
}

// inSettings reports whether the settings have the token of a sum.
func (t *Tokens) inSettings(sum TokenSum) (some bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.set {
		some = some || subtle.ConstantTimeCompare(sum[:], e.sum[:]) == 1
	}
	return some
}

// lastUse is when a token of the store was used last, in ms, and what the store has of it.
type lastUse struct{ at, noted atomic.Int64 }

func (u *lastUse) unnoted() bool { return u.at.Load() > u.noted.Load() }

// uses returns when tokens of the store were used last, by their ids, where that is not noted yet. noted is to be called when
// it is.
func (t *Tokens) uses() (times map[string]time.Time, noted func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	times, some := map[string]time.Time{}, map[*lastUse]int64{}
	for id, u := range t.used {
		if u.unnoted() {
			some[u] = u.at.Load()
			times[id] = time.UnixMilli(some[u])
		}
	}
	return times, func() {
		for u, at := range some {
			u.noted.Store(at)
		}
	}
}
