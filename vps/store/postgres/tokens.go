package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
)

const (
	// The row of the version is also the lock of those who change tokens.
	raiseTokensVersion  = `insert into meta (key, value) values ('tokens', '1') on conflict (key) do update set value = (meta.value::bigint + 1)::text`
	selectTokensVersion = `select value::bigint from meta where key = 'tokens'`
	tokenColumns        = `id, sum, name, role, devices, created, used, expires, revoked`
	selectTokens        = `select ` + tokenColumns + ` from tokens order by created, id`
	insertToken         = `insert into tokens (` + tokenColumns + `) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	deleteToken         = `delete from tokens where id = $1`
	lockToken           = `select revoked is not null from tokens where id = $1 for update`
	revokeToken         = `update tokens set revoked = $2 where id = $1`
	selectToken         = `select ` + tokenColumns + ` from tokens where id = $1`
	useTokens           = `update tokens t set used = n.at from unnest($1::text[], $2::timestamptz[]) as n (id, at)
		where t.id = n.id and (t.used is null or t.used < n.at)`
)

func (p *Store) Tokens(ctx context.Context) (all []store.Token, version int64, err error) {
	err = p.db.Read(ctx, "tokens", func(ctx context.Context, db database.Querier) error {
		if version, err = tokensVersion(ctx, db); err != nil { // first: what is read next is of this version or a newer one
			return err
		}
		all, err = readTokens(ctx, db)
		return err
	})
	return all, version, err
}

func (p *Store) TokensVersion(ctx context.Context) (version int64, err error) {
	err = p.db.Read(ctx, "version of tokens", func(ctx context.Context, db database.Querier) error {
		version, err = tokensVersion(ctx, db)
		return err
	})
	return version, err
}

func tokensVersion(ctx context.Context, db database.Querier) (version int64, err error) {
	err = db.QueryRow(ctx, selectTokensVersion).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return version, err
}

func readTokens(ctx context.Context, db database.Querier) ([]store.Token, error) {
	rows, err := db.Query(ctx, selectTokens)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []store.Token
	for rows.Next() {
		t, err := scanToken(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

func scanToken(row pgx.Row) (t store.Token, err error) {
	var used, expires, revoked *time.Time
	err = row.Scan(&t.ID, &t.Sum, &t.Name, &t.Role, &t.Devices, &t.Created, &used, &expires, &revoked)
	t.Used, t.Expires, t.Revoked = orZero(used), orZero(expires), orZero(revoked)
	return t.Rounded(), err
}

// tokenArgs are the parameters of insertToken.
func tokenArgs(t *store.Token) []any {
	return []any{t.ID, t.Sum, t.Name, t.Role, t.Devices, t.Created, orNull(t.Used), orNull(t.Expires), orNull(t.Revoked)}
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// orNull is a time as a column has it.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (p *Store) AddToken(ctx context.Context, t store.Token) error {
	t = t.Rounded()
	return p.changeTokens(ctx, "add a token", func(ctx context.Context, db database.Querier) error {
		all, err := readTokens(ctx, db)
		if err != nil {
			return err
		}
		outdated, err := t.Beside(all)
		if err != nil {
			return err
		}
		for _, old := range outdated {
			if _, err := db.Exec(ctx, deleteToken, old.ID); err != nil {
				return err
			}
		}
		_, err = db.Exec(ctx, insertToken, tokenArgs(&t)...)
		return err
	})
}

func (p *Store) RevokeToken(ctx context.Context, id string, at time.Time) (t store.Token, err error) {
	err = p.changeTokens(ctx, "revoke a token", func(ctx context.Context, db database.Querier) error {
		revoked := false
		err := db.QueryRow(ctx, lockToken, id).Scan(&revoked)
		if errors.Is(err, pgx.ErrNoRows) {
			return store.ErrNoToken
		}
		if err == nil && !revoked {
			_, err = db.Exec(ctx, revokeToken, id, at.UTC().Truncate(time.Millisecond))
		}
		if err == nil {
			t, err = scanToken(db.QueryRow(ctx, selectToken, id))
		}
		return err
	})
	return t, err
}

func (p *Store) UseTokens(ctx context.Context, used map[string]time.Time) error {
	ids, times := make([]string, 0, len(used)), make([]time.Time, 0, len(used))
	for id, at := range used {
		ids, times = append(ids, id), append(times, at.UTC().Truncate(time.Millisecond))
	}
	return p.db.Change(ctx, "note the use of tokens", func(ctx context.Context, db database.Querier) error {
		_, err := db.Exec(ctx, useTokens, ids, times)
		return err
	})
}

// changeTokens calls change in a transaction that has the tokens for itself. One that is refused is rolled back.
func (p *Store) changeTokens(ctx context.Context, what string, change func(context.Context, database.Querier) error) error {
	var refused error
	err := p.db.Change(ctx, what, func(ctx context.Context, db database.Querier) error {
		if _, err := db.Exec(ctx, raiseTokensVersion); err != nil {
			return err
		}
		err := change(ctx, db)
		if refused = nil; errors.Is(err, store.ErrRefused) {
			refused = err
		}
		return err
	})
	if refused != nil {
		return refused
	}
	return err
}
