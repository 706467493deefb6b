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

// call runs f with the connections within CallTime, and once more if it failed such that nothing was stored and another
// connection may do.
func (p *Postgres) call(ctx context.Context, what string, f func(context.Context, *pools) error) error {
	return p.within(ctx, p.callTime, what, f)
}

// within is call with a limit of its own.
func (p *Postgres) within(ctx context.Context, limit time.Duration, what string, f func(context.Context, *pools) error) error {
	ctx, cancel := bounded(ctx, limit)
	defer cancel()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-p.closing:
		return ErrClosed
	default:
	}
	p.mu.Lock()
	open, away := p.pools, p.away
	p.mu.Unlock()
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
	err = p.explain(ctx, what, open, err)
	if _, answered := errors.AsType[*pgconn.PgError](err); open.distributed && errors.Is(err, ErrUnavailable) && (answered || ctx.Err() != nil) {
		err = fmt.Errorf("%w: %w", ErrPartly, err) // the coordinator is there, a worker may be not
	}
	return err
}

// read is for statements that change nothing.
func (p *Postgres) read(ctx context.Context, what string, f func(context.Context, querier) error) error {
	return p.call(ctx, what, func(ctx context.Context, open *pools) error { return open.reading(ctx, f) })
}

// change is for a transaction that may be repeated.
func (p *Postgres) change(ctx context.Context, what string, f func(context.Context, querier) error) error {
	return p.call(ctx, what, func(ctx context.Context, open *pools) error {
		return transact(ctx, open.write, open.settings, f)
	})
}

// explain turns err into what the contract says. The caller's end, or ours, is the reason for whatever happened after it.
func (p *Postgres) explain(ctx context.Context, what string, open *pools, err error) error {
	if err == nil || errors.Is(err, ErrNone) {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-p.closing:
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
		p.lost(open, unavailable(what, err))
	case permanent(c) && !isChangedPlan(err):
		return unfit(what, err)
	}
	return unavailable(what, err)
}

// lost has the database prepared again: its tables are gone.
func (p *Postgres) lost(was *pools, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pools != was {
		return
	}
	p.pools, p.away = nil, why
	p.gone <- was // there is room: only connect sets pools, after it took what was here
}
