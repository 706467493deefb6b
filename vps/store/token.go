package store

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// Token is a token that the store keeps: who has it, and until when. The secret itself is kept nowhere, only its sum.
type Token struct {
	ID      string    `json:"id"`
	Sum     []byte    `json:"sum"` // SHA-256 of the secret
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Devices []string  `json:"devices,omitempty"` // sorted; nil for all
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`    // last; zero for never
	Expires time.Time `json:"expires,omitzero"` // zero for never
	Revoked time.Time `json:"revoked,omitzero"` // zero if it is not
}

// Roles of a token.
const (
	RoleDevice = "device" // sends the samples of its devices, and reads them
	RoleViewer = "viewer" // reads its devices
	RoleAdmin  = "admin"  // reads every device, and creates and revokes tokens

	RolePairing = "pairing" // is exchanged for a token of its device, once; it admits to nothing
)

// Valid reports whether t is neither revoked nor expired at the time now.
func (t *Token) Valid(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// MaxTokens is how many tokens there may be that are not revoked. Every request is compared with each.
const MaxTokens = 10_000

// KeepRevoked is how long a revoked token stays in the list.
const KeepRevoked = 365 * 24 * time.Hour

// Errors of the methods of Tokens, that are no failures of the store.
var (
	ErrNoToken    = fmt.Errorf("%w: there is no such token", ErrRefused)
	ErrTokenName  = fmt.Errorf("%w: another token has this name", ErrRefused)
	ErrTokenTaken = fmt.Errorf("%w: this token exists", ErrRefused)
	ErrTokensFull = fmt.Errorf("%w: there are %d tokens", ErrRefused, MaxTokens)
)

// Tokens keeps tokens for all processes that share the store. Times are kept in whole milliseconds.
//
// Tokens returns all, also revoked and expired ones, in order of their creation, and the version at which they were that or
// newer ones: AddToken and RevokeToken raise it, and UseTokens does not. TokensVersion returns the version alone.
//
// AddToken keeps a token, or none and an error if it does not go with the others: its id or its sum is that of one that is
// kept, its name that of one that is not revoked, or there are MaxTokens. It deletes what was revoked KeepRevoked before its
// creation.
//
// RevokeToken revokes a token and returns it, or ErrNoToken. One that is revoked stays as it is.
//
// UseTokens notes when tokens were used last, by their ids; what is unknown, or older than what is noted, is left out.
//
// Each method returns early when ctx ends, and ErrClosed after Close of the store. What was changed is durable.
type Tokens interface {
	Tokens(ctx context.Context) (all []Token, version int64, err error)
	TokensVersion(ctx context.Context) (int64, error)
	AddToken(ctx context.Context, t Token) error
	RevokeToken(ctx context.Context, id string, at time.Time) (Token, error)
	UseTokens(ctx context.Context, used map[string]time.Time) error
}

// Beside returns why t cannot be kept beside all, or nil, and those that are to be deleted.
func (t *Token) Beside(all []Token) (outdated []Token, err error) {
	kept := 0
	for _, other := range all {
		switch {
		case other.ID == t.ID || bytes.Equal(other.Sum, t.Sum):
			return nil, ErrTokenTaken
		case other.Revoked.IsZero() && other.Name == t.Name:
			return nil, ErrTokenName
		case other.Revoked.IsZero():
			kept++
		case t.Created.Sub(other.Revoked) >= KeepRevoked:
			outdated = append(outdated, other)
		}
	}
	if kept >= MaxTokens {
		return nil, ErrTokensFull
	}
	return outdated, nil
}

// Rounded returns t with its times as stores keep them.
func (t Token) Rounded() Token {
	for _, at := range []*time.Time{&t.Created, &t.Used, &t.Expires, &t.Revoked} {
		*at = at.UTC().Truncate(time.Millisecond)
	}
	return t
}
