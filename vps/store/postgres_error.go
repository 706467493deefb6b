package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/health"
	"sunspool/wire"
)

// SQLSTATEs that mean something special here.
const (
	readOnly        = "25006" // a standby, after a failover
	undefinedTable  = "42P01" // somebody dropped our tables, or the database was restored
	noSuchDatabase  = "3D000"
	unknownName     = "42704" // of a setting, among others
	cachedPlan      = "0A000" // the schema changed under a prepared statement
	noSuchStatement = "26000"
	serialization   = "40001"
	deadlock        = "40P01"
	adminShutdown   = "57P01"
	crashShutdown   = "57P02"

	unsupportedParameter = "08P01" // what PgBouncer says of a setting at the start of a session that it does not know
)

func code(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// call runs f with a pool within CallTime, and once more if it failed such that nothing was stored and another
// connection may do.
func (p *Postgres) call(ctx context.Context, what string, pick func(*pools) *pgxpool.Pool, f func(context.Context, querier) error) error {
	return p.within(ctx, p.callTime, what, pick, f)
}

// within is call with a limit of its own.
func (p *Postgres) within(ctx context.Context, limit time.Duration, what string, pick func(*pools) *pgxpool.Pool, f func(context.Context, querier) error) error {
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
	pool := pick(open)
	err := f(ctx, pool)
	if err != nil && ctx.Err() == nil && again(err) {
		if broken(err) {
			pool.Reset() // what ended one connection has ended the others
		}
		err = f(ctx, pool)
	}
	return p.explain(ctx, what, open, err)
}

func (p *Postgres) read(ctx context.Context, what string, f func(context.Context, querier) error) error {
	return p.call(ctx, what, (*pools).forReading, f)
}

// change is for single statements that may be repeated.
func (p *Postgres) change(ctx context.Context, what string, f func(context.Context, querier) error) error {
	return p.call(ctx, what, (*pools).forWriting, f)
}

// again reports whether what failed may be tried once more at once. After COMMIT was sent nothing is: the rows that it
// stored would not be counted as new.
func again(err error) bool {
	if _, unknown := errors.AsType[unknownOutcome](err); unknown {
		return false
	}
	switch code(err) {
	case cachedPlan, noSuchStatement, serialization, deadlock:
		return true
	}
	return broken(err)
}

// broken reports whether err is the end of a connection that was there before. That there is none to be had is not: the
// next attempt would fare the same.
func broken(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return false
	}
	if c := code(err); c != "" {
		return c == adminShutdown || c == crashShutdown
	}
	_, network := errors.AsType[net.Error](err)
	return network || pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
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
	pg, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok:
	case pg.Code[:2] == "22" || pg.Code[:2] == "23":
		// The database cannot hold a value. Its message may quote it, so it is not passed on.
		return fmt.Errorf("%s: %w", what, &wire.Invalid{Field: "values", Code: CodeNotStorable, Detail: "cannot be stored: SQLSTATE " + pg.Code})
	case pg.Code == readOnly:
		open.write.Reset() // the name may lead to another server now
	case pg.Code == undefinedTable, pg.Code == noSuchDatabase:
		p.lost(open, unavailable(what, err))
	}
	return unavailable(what, err)
}

// CodeNotStorable is the code of a *wire.Invalid sample that only this store refuses, such as one with a register whose
// name has a zero byte.
const CodeNotStorable = "not_storable"

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

// refusal makes a *health.Fault of what an operator must act on, and ErrUnavailable of the rest. The password is in
// none of them.
func refusal(config *pgx.ConnConfig, err error) error {
	if _, ok := errors.AsType[*health.Fault](err); ok {
		return err
	}
	fault := &health.Fault{Exit: health.ExitConfig, Err: unavailable("prepare the database", err)}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		fault.Why = pg.Message
	}
	switch c := code(err); {
	case c == noSuchDatabase:
		fault.Code, fault.What = "database_missing", fmt.Sprintf("there is no database %q on %s", config.Database, config.Host)
		fault.Next = fmt.Sprintf("create it (`createdb -h %s -O %s %s`), or correct DATABASE_URL", health.Quote(config.Host), health.Quote(config.User), health.Quote(config.Database))
	case strings.HasPrefix(c, "28"):
		fault.Code, fault.What, fault.Exit = "database_login", fmt.Sprintf("PostgreSQL on %s refused user %q", config.Host, config.User), health.ExitAuth
		fault.Next = "correct user and password in DATABASE_URL, or pg_hba.conf of the server"
	case c == "42501":
		fault.Code, fault.What = "database_rights", fmt.Sprintf("user %q may not set up database %q", config.User, config.Database)
		fault.Next = fmt.Sprintf("make it the owner: ALTER DATABASE %s OWNER TO %s", config.Database, config.User)
	case c == unknownName && strings.HasPrefix(fault.Why, "unrecognized configuration parameter"):
		fault.Code, fault.What = "database_url_invalid", "PostgreSQL does not know a setting in DATABASE_URL"
		fault.Next = "correct what follows the ? in DATABASE_URL"
	case strings.HasPrefix(c, "42"):
		fault.Code, fault.What = "database_schema", fmt.Sprintf("the tables of sunspool cannot be made in database %q", config.Database)
		fault.Next = "give sunspool a database of its own"
	default:
		return fault.Err
	}
	return fault
}
