package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
)

var tokensBucket = []byte("tokens") // creation and id -> JSON, checksum; its sequence is the version

func tokenKey(t *store.Token) []byte { return append(key(t.Created.UnixMilli()), t.ID...) }

func (b *Store) Tokens(ctx context.Context) (all []store.Token, version int64, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		if tokens := tx.Bucket(tokensBucket); tokens != nil {
			version = int64(tokens.Sequence())
			all = b.readTokens(tokens)
		}
		return nil
	})
	return all, version, err
}

func (b *Store) TokensVersion(ctx context.Context) (version int64, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		if tokens := tx.Bucket(tokensBucket); tokens != nil {
			version = int64(tokens.Sequence())
		}
		return nil
	})
	return version, err
}

// readTokens returns the tokens in order of their creation. One whose row is damaged is not a token any more.
func (b *Store) readTokens(tokens *bbolt.Bucket) (all []store.Token) {
	c := tokens.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		var t store.Token
		text, whole := unseal(k, v)
		if !whole || json.Unmarshal(text, &t) != nil {
			b.damaged.Add(1)
			continue
		}
		all = append(all, t)
	}
	return all
}

func (b *Store) AddToken(ctx context.Context, t store.Token) error {
	t = t.Rounded()
	return b.changeTokens(ctx, func(tokens *bbolt.Bucket) (changed bool, err error) {
		outdated, err := t.Beside(b.readTokens(tokens))
		if err != nil {
			return false, err
		}
		for _, old := range outdated {
			if err := tokens.Delete(tokenKey(&old)); err != nil {
				return false, err
			}
		}
		return true, putToken(tokens, &t)
	})
}

func (b *Store) RevokeToken(ctx context.Context, id string, at time.Time) (store.Token, error) {
	var revoked store.Token // the writer's until err is nil: it may still be at it when the caller's time is over
	err := b.changeTokens(ctx, func(tokens *bbolt.Bucket) (changed bool, err error) {
		for _, t := range b.readTokens(tokens) {
			if t.ID != id {
				continue
			}
			if changed = t.Revoked.IsZero(); changed {
				t.Revoked = at
				t = t.Rounded()
				err = putToken(tokens, &t)
			}
			revoked = t
			return changed, err
		}
		return false, store.ErrNoToken
	})
	if err != nil {
		return store.Token{}, err
	}
	return revoked, nil
}

func (b *Store) UseTokens(ctx context.Context, used map[string]time.Time) error {
	return b.changeTokens(ctx, func(tokens *bbolt.Bucket) (changed bool, err error) {
		version := tokens.Sequence()
		for _, t := range b.readTokens(tokens) {
			at, some := used[t.ID]
			if at = at.UTC().Truncate(time.Millisecond); !some || !at.After(t.Used) {
				continue
			}
			t.Used = at
			if err := putToken(tokens, &t); err != nil {
				return false, err
			}
			changed = true
		}
		return changed, tokens.SetSequence(version)
	})
}

// putToken stores t and raises the version.
func putToken(tokens *bbolt.Bucket, t *store.Token) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if _, err := tokens.NextSequence(); err != nil {
		return err
	}
	k := tokenKey(t)
	return tokens.Put(k, seal(k, text))
}

// changeTokens calls change in a transaction of the writer, which may be repeated, and waits for its commit.
func (b *Store) changeTokens(ctx context.Context, change func(*bbolt.Bucket) (changed bool, err error)) error {
	return b.changeBeside(ctx, tokensBucket, change)
}

// changeBeside calls change with a bucket beside the devices.
func (b *Store) changeBeside(ctx context.Context, bucket []byte, change func(*bbolt.Bucket) (changed bool, err error)) error {
	w := newWrite("")
	w.beside, w.change = bucket, change
	return b.do(ctx, w)
}

// besideDevices does a write that is of no device. What is refused of it is said to its caller alone, and changes nothing.
func (w *write) besideDevices(tx *bbolt.Tx) (changed bool, err error) {
	if w.check {
		return true, tx.Bucket(metaBucket).Put(checkKey, []byte(time.Now().UTC().Format(time.RFC3339)))
	}
	bucket, err := tx.CreateBucketIfNotExists(w.beside)
	if err != nil {
		return false, err
	}
	changed, err = w.change(bucket)
	if errors.Is(err, store.ErrRefused) {
		w.refused, err = err, nil
	}
	return changed, err
}
