package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"sunspool/vps/store"
)

// TokenStore is a store that keeps tokens, and is closed by the test.
type TokenStore interface {
	store.Tokens
	Close() error
}

// RunTokens is the contract of store.Tokens as a test. Open is as that of Run.
func RunTokens(t *testing.T, open func(t *testing.T, dir string) TokenStore) {
	for _, c := range []struct {
		claim string
		test  func(*testing.T, TokenStore)
	}{
		{"TokenComesBackWhole", tokenComesBackWhole},
		{"TokensThatContradictAreRefused", tokensThatContradictAreRefused},
		{"RevokedTokenStaysRevoked", revokedTokenStaysRevoked},
		{"UseIsNotedAndNoChange", useIsNotedAndNoChange},
		{"TokensRevokedLongAgoAreDeleted", tokensRevokedLongAgoAreDeleted},
		{"ThereAreNotTooManyTokens", thereAreNotTooManyTokens},
		{"EndedContextAndClosedStore", tokensOfAClosedStore},
	} {
		t.Run(c.claim, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			t.Cleanup(func() { s.Close() })
			c.test(t, s)
		})
	}
	t.Run("TokensSurviveReopening", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := open(t, dir)
		add(t, s, someToken(1), nil)
		if _, err := s.RevokeToken(t.Context(), "id-1", Noon); err != nil {
			t.Fatal(err)
		}
		was, version := tokensOf(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir)
		defer s.Close()
		if all, v := tokensOf(t, s); !reflect.DeepEqual(all, was) || v != version {
			t.Errorf("%+v, version %d, was %+v, %d", all, v, was, version)
		}
	})
}

func someToken(n int) store.Token {
	sum := sha256.Sum256(fmt.Append(nil, "secret ", n))
	return store.Token{ID: fmt.Sprint("id-", n), Sum: sum[:], Name: fmt.Sprint("name ", n), Role: store.RoleViewer, Created: Noon.Add(time.Duration(n) * time.Second)}
}

func add(t *testing.T, s store.Tokens, token store.Token, want error) {
	t.Helper()
	if err := s.AddToken(t.Context(), token); !errors.Is(err, want) {
		t.Fatalf("add %s: %v, want %v", token.ID, err, want)
	}
}

// tokensOf returns all tokens and the version, which the shorter question answers alike.
func tokensOf(t *testing.T, s store.Tokens) ([]store.Token, int64) {
	t.Helper()
	all, version, err := s.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := s.TokensVersion(t.Context()); err != nil || v != version {
		t.Errorf("the version is %d, %v, and %d with the tokens", v, err, version)
	}
	return all, version
}

func tokenComesBackWhole(t *testing.T, s TokenStore) {
	if all, version := tokensOf(t, s); len(all) != 0 || version != 0 {
		t.Fatalf("a new store has %v, version %d", all, version)
	}
	few := someToken(1)
	full := someToken(2)
	full.Name, full.Role, full.Devices = "Großmutter, \"oben\"", store.RoleDevice, []string{"barn", "roof"}
	full.Created, full.Expires = Noon.In(time.FixedZone("here", 7200)).Add(time.Second+1234567), Noon.AddDate(1, 0, 0)
	add(t, s, full, nil)
	add(t, s, few, nil)
	want := []store.Token{few.Rounded(), full.Rounded()}
	if want[0].Created.After(want[1].Created) {
		want[0], want[1] = want[1], want[0]
	}
	all, version := tokensOf(t, s)
	if !reflect.DeepEqual(all, want) {
		t.Errorf("%+v\nwant %+v", all, want)
	}
	if version <= 0 || !all[1].Created.Equal(all[1].Created.Truncate(time.Millisecond)) {
		t.Errorf("version %d, created %v", version, all[1].Created)
	}
}

func tokensThatContradictAreRefused(t *testing.T, s TokenStore) {
	add(t, s, someToken(1), nil)
	_, before := tokensOf(t, s)
	for what, change := range map[string]func(*store.Token){
		"id":  func(t *store.Token) { t.ID = "id-1" },
		"sum": func(t *store.Token) { t.Sum = someToken(1).Sum },
	} {
		other := someToken(2)
		change(&other)
		if err := s.AddToken(t.Context(), other); !errors.Is(err, store.ErrTokenTaken) || !store.Refused(err) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("the same %s: %v", what, err)
		}
	}
	other := someToken(2)
	other.Name = "name 1"
	add(t, s, other, store.ErrTokenName)
	if all, after := tokensOf(t, s); len(all) != 1 || after != before {
		t.Errorf("%d tokens, version %d, was %d", len(all), after, before)
	}
	if _, err := s.RevokeToken(t.Context(), "id-1", Noon); err != nil {
		t.Fatal(err)
	}
	add(t, s, other, nil) // the name is free
	same := someToken(3)
	same.Sum = someToken(1).Sum
	add(t, s, same, store.ErrTokenTaken) // a secret that was revoked never comes back
}

func revokedTokenStaysRevoked(t *testing.T, s TokenStore) {
	if _, err := s.RevokeToken(t.Context(), "id-1", Noon); !errors.Is(err, store.ErrNoToken) || !store.Refused(err) {
		t.Errorf("an unknown one: %v", err)
	}
	add(t, s, someToken(1), nil)
	add(t, s, someToken(2), nil)
	_, before := tokensOf(t, s)
	for i := range 2 {
		got, err := s.RevokeToken(t.Context(), "id-1", Noon.Add(time.Duration(i+1)*time.Hour))
		if err != nil || got.ID != "id-1" || !got.Revoked.Equal(Noon.Add(time.Hour)) {
			t.Errorf("time %d: %+v, %v", i, got, err)
		}
	}
	all, after := tokensOf(t, s)
	if after <= before || !all[0].Revoked.Equal(Noon.Add(time.Hour)) || !all[1].Revoked.IsZero() || !bytes.Equal(all[0].Sum, someToken(1).Sum) {
		t.Errorf("version %d after %d: %+v", after, before, all)
	}
	if all[0].Valid(Noon) || !all[1].Valid(Noon) {
		t.Error("the revoked one is valid, or the other one is not")
	}
}

func useIsNotedAndNoChange(t *testing.T, s TokenStore) {
	add(t, s, someToken(1), nil)
	add(t, s, someToken(2), nil)
	_, before := tokensOf(t, s)
	for _, at := range []time.Time{Noon.Add(time.Hour), Noon} {
		if err := s.UseTokens(t.Context(), map[string]time.Time{"id-2": at, "unknown": at}); err != nil {
			t.Fatal(err)
		}
	}
	all, after := tokensOf(t, s)
	if len(all) != 2 || !all[0].Used.IsZero() || !all[1].Used.Equal(Noon.Add(time.Hour)) || after != before {
		t.Errorf("version %d, was %d: %+v", after, before, all)
	}
	if err := s.UseTokens(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func tokensRevokedLongAgoAreDeleted(t *testing.T, s TokenStore) {
	for n, revoked := range []time.Time{Noon, Noon.Add(time.Hour)} {
		add(t, s, someToken(n), nil)
		if _, err := s.RevokeToken(t.Context(), someToken(n).ID, revoked); err != nil {
			t.Fatal(err)
		}
	}
	late := someToken(2)
	late.Created = Noon.Add(store.KeepRevoked)
	add(t, s, late, nil)
	if all, _ := tokensOf(t, s); len(all) != 2 || all[0].ID != "id-1" || all[1].ID != "id-2" {
		t.Errorf("%+v", all)
	}
}

// The rule is one function for all stores; that each asks it is what the others show.
func thereAreNotTooManyTokens(t *testing.T, s TokenStore) {
	all := make([]store.Token, store.MaxTokens)
	for n := range all {
		all[n] = someToken(n)
	}
	more := someToken(len(all))
	if _, err := more.Beside(all); !errors.Is(err, store.ErrTokensFull) {
		t.Errorf("one too many: %v", err)
	}
	all[7].Revoked = Noon
	if _, err := more.Beside(all); err != nil {
		t.Errorf("after one was revoked: %v", err)
	}
}

func tokensOfAClosedStore(t *testing.T, s TokenStore) {
	add(t, s, someToken(1), nil)
	calls := map[string]func(context.Context) error{
		"Tokens":        func(ctx context.Context) error { _, _, err := s.Tokens(ctx); return err },
		"TokensVersion": func(ctx context.Context) error { _, err := s.TokensVersion(ctx); return err },
		"AddToken":      func(ctx context.Context) error { return s.AddToken(ctx, someToken(2)) },
		"RevokeToken":   func(ctx context.Context) error { _, err := s.RevokeToken(ctx, "id-1", Noon); return err },
		"UseTokens":     func(ctx context.Context) error { return s.UseTokens(ctx, map[string]time.Time{"id-1": Noon}) },
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls {
		if err := call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s after its context: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		if err := call(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}
