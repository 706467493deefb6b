// Package database connects to a PostgreSQL server and makes it ready for the store: it parses the URL, detects a pooler or
// an extension, refuses a database that would lose samples, migrates the schema, and classifies errors.
//
//	URL ──ParseURL──> settings ──Open──> inspect ──> migrate ──> inspect the tables ──> Pools ──> transactions
package database

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/vps/store"
)

// Migrate brings the schema of a database up to date, and returns. Statements are those that it must be able to run.
func Migrate(ctx context.Context, pool *pgxpool.Config, statements []Statement, log *slog.Logger) error {
	_, err := prepare(ctx, pool, false, statements, log)
	return err
}

// prepare checks the database and migrates it, unless it is only to be read.
func prepare(ctx context.Context, pool *pgxpool.Config, readOnly bool, statements []Statement, log *slog.Logger) (found server, err error) {
	config := pool.ConnConfig.Copy()
	delete(config.RuntimeParams, "statement_timeout") // a migration may take any time
	delete(config.RuntimeParams, "lock_timeout")
	conn, err := connectPostgres(ctx, config)
	if err == nil {
		found.pooled, err = isPooled(ctx, conn)
	}
	if found.pooled || code(err) == poolerEnds {
		if conn != nil {
			conn.Close(context.WithoutCancel(ctx))
		}
		found.pooled = true
		throughPooler(config)
		conn, err = connectPostgres(ctx, config)
	}
	if err != nil {
		return found, refusal(config, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := found.inspect(ctx, config, conn, log); err != nil {
		return found, refusal(config, err)
	}
	if readOnly {
		return found, refusal(config, checkSchema(ctx, config, conn))
	}
	if err := migrateSchema(ctx, conn, log); err != nil {
		return found, refusal(config, err)
	}
	if err := found.inspectTables(ctx, config, conn, statements, log); err != nil {
		return found, refusal(config, err)
	}
	return found, nil
}

func connectPostgres(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := Bounded(ctx, CallTime)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err == nil {
		RegisterTypes(conn.TypeMap())
	}
	return conn, err
}

// CallTime is how long a call takes at most, unless Options has another limit.
const CallTime = 5 * time.Second

// Bounded returns ctx with a limit of the store's own. context.Cause returns whose limit it was.
func Bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: the database did not answer within %v", store.ErrUnavailable, limit))
}
