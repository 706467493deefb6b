package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/health"
	"sunspool/vps/store"
	"sunspool/wire"
)

// Conn is one connection, for work that takes as long as it takes: its statements have no limit of time.
type Conn struct {
	*pgx.Conn
	Distributed bool // by Citus

	settings []string // with which a transaction that changes something begins
	host     string
}

// Connect prepares a database as Open does and connects to it, once. One that is only to be read stays as it is, and must have been
// prepared by this version.
func Connect(ctx context.Context, pool *pgxpool.Config, readOnly bool, statements []Statement, log *slog.Logger) (*Conn, error) {
	found, err := prepare(ctx, pool, readOnly, statements, log)
	if err != nil {
		return nil, err
	}
	c := pool.ConnConfig.Copy()
	for name := range sessionSettings(0) {
		if name != "application_name" && name != "jit" {
			c.RuntimeParams[name] = "0"
		}
	}
	conn := &Conn{Distributed: found.distributed, settings: []string{syncCommit}, host: c.Host}
	if found.pooled {
		conn.settings = append(conn.settings, throughPooler(c))
	}
	if found.forgetfulWorkers {
		conn.settings = append(conn.settings, syncWorkers...)
	}
	if readOnly {
		conn.settings = conn.settings[1:]
	}
	if conn.Conn, err = connectPostgres(ctx, c); err != nil {
		return nil, refusal(c, err)
	}
	if readOnly {
		b := &pgx.Batch{}
		b.Queue(`begin isolation level repeatable read read only`)
		for _, set := range conn.settings {
			b.Queue(set)
		}
		if err := conn.SendBatch(ctx, b).Close(); err != nil {
			return nil, errors.Join(conn.Explain("begin to read", err), conn.Close(context.WithoutCancel(ctx)))
		}
	}
	return conn, nil
}

// Change runs f in a transaction.
func (c *Conn) Change(ctx context.Context, what string, f func(context.Context, Querier) error) error {
	return c.Explain(what, transactOn(ctx, c.Conn, c.settings, f))
}

// Explain returns err as one of the store's, without a value or a password in it.
func (c *Conn) Explain(what string, err error) error {
	if err == nil || errors.Is(err, store.ErrRefused) || errors.Is(err, context.Canceled) {
		return err
	}
	if code := code(err); len(code) == 5 && code[:2] == "22" {
		return fmt.Errorf("%s: %w: %w", what, store.ErrRefused, &wire.Invalid{Field: "values", Code: store.CodeNotStorable, Detail: "cannot be stored: SQLSTATE " + code})
	} else if code != "" && permanent(code) {
		return unfit(what, err)
	}
	if _, answered := errors.AsType[*pgconn.PgError](err); !answered && c.IsClosed() {
		err = fmt.Errorf("the connection to PostgreSQL on %s was lost: %w", c.host, err)
	}
	return store.Unavailable(what, err)
}

// checkSchema is migrateSchema of a database that is only to be read.
func checkSchema(ctx context.Context, config *pgx.ConnConfig, conn *pgx.Conn) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	has, err := schemaVersion(ctx, conn)
	switch {
	case err != nil || has == len(all):
		return err
	case has == 0:
		return &health.Fault{Code: "database_without_store", Exit: health.ExitConfig, What: fmt.Sprintf("database %q on %s has no tables of sunspool", config.Database, config.Host),
			Next: "name the database of the vps, as its DATABASE_URL does"}
	case has > len(all):
		return newerSchema(has, len(all))
	}
	return &health.Fault{Code: "store_older", Exit: health.ExitConfig, What: "the database was set up by an earlier sunspool", Why: fmt.Sprintf("its schema is %d, this program knows %d", has, len(all)),
		Next: "upgrade its vps first, or run `sunspool vps --migrate-only` with its DATABASE_URL"}
}
