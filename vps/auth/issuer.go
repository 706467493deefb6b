package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	lookEvery  = 2 * time.Second        // for what other processes changed
	retryEvery = 200 * time.Millisecond // until the tokens were read for the first time
	noteEvery  = time.Minute            // between two notes of when tokens were used; all are read again then, too
	callTime   = 5 * time.Second

	longestName = 100
	mostDevices = 1000 // of one token
)

// Issuer creates and revokes the tokens of a store, and keeps Tokens as the store has them, also when other processes change
// them.
type Issuer struct {
	Store  store.Tokens
	Tokens *Tokens
	Log    *slog.Logger
	Now    func() time.Time // default time.Now

	mu      sync.Mutex // held while the store is read, so that what is read later also counts later
	version int64
}

// Wish is what a new token is to be.
type Wish struct {
	Role    string
	Name    string
	Devices []string  // AnyDevice alone for all; of an admin it may be left out
	Expires time.Time // zero for never
	Secret  string    // "" for one that is made
}

// Unfit is what is wrong with a wish.
type Unfit struct{ Field, What string }

func (u *Unfit) Error() string { return u.Field + ": " + u.What }
func (u *Unfit) Unwrap() error { return store.ErrRefused } // it is no failure of the store

// prefixes of the secrets that are made, so that a person sees what one is.
var prefixes = map[string]string{store.RoleDevice: "ssd_", store.RoleViewer: "ssv_", store.RoleAdmin: "ssa_"}

// Create makes a token. The secret is returned this once, and kept nowhere. An error is an *Unfit, one of package store that
// RefusedToken knows, or a failure of the store.
func (i *Issuer) Create(ctx context.Context, w Wish) (t store.Token, secret string, err error) {
	now := i.now()
	if err := w.check(now); err != nil {
		return t, "", err
	}
	if secret = w.Secret; secret == "" {
		secret = prefixes[w.Role] + hex.EncodeToString(random(20)) // 160 bits
	}
	sum := SumOf(secret)
	if i.Tokens.inSettings(sum) {
		return t, "", store.ErrTokenTaken
	}
	t = store.Token{ID: hex.EncodeToString(random(6)), Sum: sum[:], Name: w.Name, Role: w.Role, Created: now, Expires: w.Expires}
	if w.Role != store.RoleAdmin && !slices.Equal(w.Devices, []string{AnyDevice}) {
		t.Devices = slices.Compact(slices.Sorted(slices.Values(w.Devices)))
	}
	t = t.Rounded()
	if err := i.Store.AddToken(ctx, t); err != nil {
		return t, "", err
	}
	i.Log.Info("token created", "id", t.ID, "name", t.Name, "role", t.Role, "devices", t.Devices)
	i.reread(ctx)
	return t, secret, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// check returns what is wrong with w, as an *Unfit.
func (w *Wish) check(now time.Time) error {
	w.Name = strings.TrimSpace(w.Name)
	all := slices.Equal(w.Devices, []string{AnyDevice})
	bad := slices.IndexFunc(w.Devices, func(id string) bool { return !wire.ValidDeviceID(id) })
	switch {
	case prefixes[w.Role] == "":
		return &Unfit{"role", "is neither device, viewer nor admin"}
	case w.Name == "":
		return &Unfit{"name", "is missing: it tells this token from the others"}
	case utf8.RuneCountInString(w.Name) > longestName || strings.ContainsFunc(w.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return &Unfit{"name", fmt.Sprintf("is not a text of at most %d printable characters", longestName)}
	case w.Role == store.RoleAdmin && len(w.Devices) > 0 && !all:
		return &Unfit{"devices", "are not for an admin, who may give every token"}
	case w.Role == store.RoleDevice && all:
		return &Unfit{"devices", "of a device token are named one by one: it may write them"}
	case w.Role != store.RoleAdmin && len(w.Devices) == 0:
		return &Unfit{"devices", "are missing: name those that the token is for, or * in a viewer token for all"}
	case bad >= 0 && !all:
		return &Unfit{"devices", "have one that is not 1 to 64 characters of A-Z a-z 0-9 . _ ~ -"}
	case len(w.Devices) > mostDevices:
		return &Unfit{"devices", fmt.Sprintf("are more than %d", mostDevices)}
	case !w.Expires.IsZero() && (!w.Expires.After(now) || w.Expires.Year() > 9999):
		return &Unfit{"expires", "is not in the future"}
	case w.Secret != "" && unusable(w.Secret) != "":
		return &Unfit{"secret", "is one " + unusable(w.Secret)}
	case len(w.Secret) > longestToken:
		return &Unfit{"secret", fmt.Sprintf("is longer than %d characters", longestToken)}
	}
	return nil
}

// List returns all tokens of the store, revoked ones included.
func (i *Issuer) List(ctx context.Context) ([]store.Token, error) {
	all, _, err := i.Store.Tokens(ctx)
	return all, err
}

// Revoke ends a token: it is refused from now on, its sessions and its streams end.
func (i *Issuer) Revoke(ctx context.Context, id string) (store.Token, error) {
	t, err := i.Store.RevokeToken(ctx, id, i.now())
	if err != nil {
		return t, err
	}
	i.Log.Info("token revoked", "id", t.ID, "name", t.Name, "role", t.Role)
	i.reread(ctx)
	return t, nil
}

// Read takes over what the store has.
func (i *Issuer) Read(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	all, version, err := i.Store.Tokens(ctx)
	if err != nil {
		return err
	}
	i.version = version
	i.Tokens.setStored(all, i.now())
	return nil
}

// reread is Read after a change of ours. If it fails, the next look does it.
func (i *Issuer) reread(ctx context.Context) {
	if err := i.Read(context.WithoutCancel(ctx)); err != nil {
		i.Log.Warn("tokens changed and not read again yet", "error", err.Error())
	}
}

// Run keeps the tokens as the store has them until ctx ends, and notes there when they were used.
func (i *Issuer) Run(ctx context.Context) {
	failing, noted := false, time.Now()
	for {
		pause := lookEvery
		if i.Tokens.Unread() {
			pause = retryEvery
		}
		select {
		case <-ctx.Done():
			i.note(context.WithoutCancel(ctx))
			return
		case <-time.After(pause):
		}
		whole := time.Since(noted) >= noteEvery
		if whole {
			noted = time.Now()
			i.note(ctx)
		}
		switch err := i.look(ctx, whole); {
		case ctx.Err() != nil:
		case err != nil && !failing:
			failing = true
			i.Log.Warn("tokens of the store cannot be read, those known before stay", "error", err.Error())
		case err == nil && failing:
			failing = false
			i.Log.Info("tokens of the store are read again")
		}
	}
}

// look reads the tokens if they have changed, or always.
func (i *Issuer) look(ctx context.Context, always bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if !always && !i.Tokens.Unread() {
		version, err := i.Store.TokensVersion(ctx)
		i.mu.Lock()
		same := version == i.version
		i.mu.Unlock()
		if err != nil || same {
			return err
		}
	}
	return i.Read(ctx)
}

// note writes when tokens were used, if any was.
func (i *Issuer) note(ctx context.Context) {
	times, noted := i.Tokens.uses()
	if len(times) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if i.Store.UseTokens(ctx, times) == nil {
		noted()
	}
}

func (i *Issuer) now() time.Time {
	if i.Now == nil {
		return time.Now()
	}
	return i.Now()
}
