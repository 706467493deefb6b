package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sunspool/vps/store"
	"sunspool/wire"
)

// Call runs f with the connections within the time of a call, and once more if it failed such that nothing was stored and
// another connection may succeed.
func (d *DB) Call(ctx context.Context, what string, f func(context.Context, *Pools) error) error {
	return d.Within(ctx, d.options.CallTime, what, f)
}

// Within is Call with a limit of its own.
func (d *DB) Within(ctx context.Context, limit time.Duration, what string, f func(context.Context, *Pools) error) error {
	ctx, cancel := Bounded(ctx, limit)
	defer cancel()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-d.closing:
		return store.ErrClosed
	default:
	}
	d.mu.Lock()
	open, away := d.pools, d.away
	d.mu.Unlock()
	if open == nil {
		return away
	}
	err := f(ctx, open)
	if err != nil && ctx.Err() == nil && again(err) {
		if broken(err) { // what ended one connection has ended the others
			open.Write.Reset()
			open.Read.Reset()
		}
		err = f(ctx, open)
	}
	err = d.explain(ctx, what, open, err)
	if _, answered := errors.AsType[*pgconn.PgError](err); open.Distributed && errors.Is(err, store.ErrUnavailable) && (answered || ctx.Err() != nil) {
		err = fmt.Errorf("%w: %w", store.ErrPartly, err) // the coordinator answers, a worker may not
	}
	return err
}

// Read is for statements that change nothing.
func (d *DB) Read(ctx context.Context, what string, f func(context.Context, Querier) error) error {
	return d.Call(ctx, what, func(ctx context.Context, open *Pools) error { return open.reading(ctx, f) })
}

// Change is for a transaction that may be repeated.
func (d *DB) Change(ctx context.Context, what string, f func(context.Context, Querier) error) error {
	return d.Call(ctx, what, func(ctx context.Context, open *Pools) error {
		return Transact(ctx, open.Write, open.Settings, f)
	})
}

// explain turns err into one of the contract of store.Samples. If the caller's context or the call's time has ended, that is
// the reason for what happened after it.
func (d *DB) explain(ctx context.Context, what string, open *Pools, err error) error {
	if err == nil || errors.Is(err, store.ErrNone) {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-d.closing:
		return store.ErrClosed
	default:
	}
	switch c := code(err); {
	case c == "":
	case strings.HasPrefix(c, "22"):
		// The database cannot hold a value. Its message may quote it, so it is not passed on.
		return fmt.Errorf("%s: %w: %w", what, store.ErrRefused, &wire.Invalid{Field: "values", Code: store.CodeNotStorable, Detail: "cannot be stored: SQLSTATE " + c})
	case c == readOnly:
		open.Write.Reset() // the name may lead to another server now
	case c == undefinedTable, c == noSuchDatabase:
		d.lost(open, store.Unavailable(what, err))
	case permanent(c) && !isChangedPlan(err):
		return unfit(what, err)
	}
	return store.Unavailable(what, err)
}

// lost makes connect prepare the database again: its tables are gone.
func (d *DB) lost(was *Pools, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pools != was {
		return
	}
	d.pools, d.away = nil, why
	d.gone <- was // there is room: only connect sets pools, after it took what was here
}
