package auth

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"sunspool/internal/paircode"
	"sunspool/vps/store"
)

// PairingTime is how long a pairing code can be used.
const PairingTime = 15 * time.Minute

// ErrNoPairing is that a code is none, or no longer: used, replaced by a newer one for the same device, or out of date.
var ErrNoPairing = fmt.Errorf("%w: no such pairing code", store.ErrRefused)

// Offer makes a pairing code for the edge of a device, in place of one that was made for it before. Whoever has it gets a token
// of the device, once. It is kept as tokens are, as a sum in the store, so that every process that shares it knows it; it opens
// nothing else.
func (i *Issuer) Offer(ctx context.Context, device string) (secret string, expires time.Time, err error) {
	all, err := i.List(ctx)
	if err != nil {
		return "", expires, err
	}
	name := "pairing of " + device
	for _, t := range all {
		if t.Role == store.RolePairing && t.Name == name && t.Revoked.IsZero() {
			if _, err := i.Store.RevokeToken(ctx, t.ID, i.now()); err != nil {
				return "", expires, err
			}
		}
	}
	secret = paircode.NewSecret()
	sum := SumOf(secret)
	t := store.Token{ID: hex.EncodeToString(random(6)), Sum: sum[:], Name: name, Role: store.RolePairing, Devices: []string{device},
		Created: i.now(), Expires: i.now().Add(PairingTime)}.Rounded()
	if err := i.Store.AddToken(ctx, t); err != nil {
		return "", expires, err
	}
	i.Log.Info("pairing code made", "device", device, "expires", t.Expires)
	i.reread(ctx)
	return secret, t.Expires, nil
}

// Redeem makes the token that a pairing code stands for. The code is used then, in every process: the token has an id that
// follows from it, and the store takes no id twice.
func (i *Issuer) Redeem(ctx context.Context, secret string) (device, token string, err error) {
	offer, ok := i.Tokens.offer(SumOf(secret), i.now())
	if !ok {
		return "", "", ErrNoPairing
	}
	device = offer.Devices[0]
	token = prefixes[store.RoleDevice] + hex.EncodeToString(random(20))
	sum := SumOf(token)
	t := store.Token{ID: "p" + offer.ID, Sum: sum[:], Name: fmt.Sprintf("%s, paired (%s)", device, offer.ID[:6]), Role: store.RoleDevice,
		Devices: offer.Devices, Created: i.now()}.Rounded()
	err = i.Store.AddToken(ctx, t)
	if errors.Is(err, store.ErrTokenTaken) {
		err = ErrNoPairing
	}
	if err != nil {
		return "", "", err
	}
	i.Log.Info("edge paired", "device", device, "token_id", t.ID)
	if _, err := i.Store.RevokeToken(ctx, offer.ID, i.now()); err != nil {
		i.Log.Warn("the pairing code was used, and stays in the list until it ends", "error", err.Error())
	}
	i.reread(ctx)
	return device, token, nil
}

// offer returns the pairing with that sum, if it can be used now.
func (t *Tokens) offer(sum TokenSum, now time.Time) (offer store.Token, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	offer, ok = t.offers[sum]
	return offer, ok && offer.Valid(now)
}
