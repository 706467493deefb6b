package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sunspool/wire"
)

// Call runs f with the connections within the time of a call, and once more if it failed such that nothing was stored and another
// connection may do.
func (d *DB) Call(ctx context.Context, what string, f func(context.Context, *pools) error) error {
	return d.Within(ctx, d.options.callTime, what, f)
}

// Within is Call with a limit of its own.
func (d *DB) Within(ctx context.Context, limit time.Duration, what string, f func(context.Context, *pools) error) error {
	ctx, cancel := bounded(ctx, limit)
	defer cancel()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-d.closing:
		return ErrClosed
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
			open.write.Reset()
			open.read.Reset()
		}
		err = f(ctx, open)
	}
	err = d.explain(ctx, what, open, err)
	if _, answered := errors.AsType[*pgconn.PgError](err); open.distributed && errors.Is(err, ErrUnavailable) && (answered || ctx.Err() != nil) {
		err = fmt.Errorf("%w: %w", ErrPartly, err) // the coordinator is there, a worker may be not
	}
	return err
}

// Read is for statements that change nothing.
func (d *DB) Read(ctx context.Context, what string, f func(context.Context, querier) error) error {
	return d.Call(ctx, what, func(ctx context.Context, open *pools) error { return open.reading(ctx, f) })
}

// Change is for a transaction that may be repeated.
func (d *DB) Change(ctx context.Context, what string, f func(context.Context, querier) error) error {
	return d.Call(ctx, what, func(ctx context.Context, open *pools) error {
		return transact(ctx, open.write, open.settings, f)
	})
}

// explain turns err into what the contract says. The caller's end, or ours, is the reason for whatever happened after it.
func (d *DB) explain(ctx context.Context, what string, open *pools, err error) error {
	if err == nil || errors.Is(err, ErrNone) {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-d.closing:
		return ErrClosed
	default:
	}
	switch c := code(err); {
	case c == "":
	case strings.HasPrefix(c, "22"):
		// The database cannot hold a value. Its message may quote it, so it is not passed on.
		return fmt.Errorf("%s: %w: %w", what, ErrRefused, &wire.Invalid{Field: "values", Code: CodeNotStorable, Detail: "cannot be stored: SQLSTATE " + c})
	case c == readOnly:
		open.write.Reset() // the name may lead to another server now
	case c == undefinedTable, c == noSuchDatabase:
		d.lost(open, unavailable(what, err))
	case permanent(c) && !isChangedPlan(err):
		return unfit(what, err)
	}
	return unavailable(what, err)
}

// lost has the database prepared again: its tables are gone.
func (d *DB) lost(was *pools, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pools != was {
		return
	}
	d.pools, d.away = nil, why
	d.gone <- was // there is room: only connect sets pools, after it took what was here
}
