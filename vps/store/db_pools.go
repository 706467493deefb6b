package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pools are the connections, and how transactions begin on them. A connection that was given up stays counted until the
// database has let go of it; hence twice as many as work at once.
type pools struct {
	write, read                           *pgxpool.Pool
	settings, readSettings, pruneSettings []string
	distributed                           bool // by Citus
}

// poolOptions say what pools are for.
type poolOptions struct {
	writers, readers int           // transactions and questions at once
	callTime         time.Duration // for each call
	statements       []statement   // that the database must be able to run
	log              *slog.Logger
}

// openPools prepares a database and connects to it.
func openPools(ctx context.Context, config *pgxpool.Config, o poolOptions) (*pools, error) {
	found, err := prepare(ctx, config, o.statements, o.log)
	if err != nil {
		return nil, err
	}
	write, read := config.Copy(), config.Copy()
	write.MaxConns, read.MaxConns = int32(2*o.writers+2), int32(2*o.readers)
	p := &pools{settings: []string{syncCommit}, distributed: found.distributed}
	if !found.pooled && !found.distributed && write.ConnConfig.RuntimeParams[planCacheMode] == "" {
		write.ConnConfig.RuntimeParams[planCacheMode] = "force_generic_plan"
	}
	if found.pooled {
		throughPooler(write.ConnConfig)
		set := throughPooler(read.ConnConfig)
		p.settings, p.readSettings = append(p.settings, set), []string{`set transaction read only`, set}
	}
	if found.forgetfulWorkers {
		p.settings = append(p.settings, syncWorkers...)
	}
	p.pruneSettings = p.settings
	if found.hypertable { // it leaves out chunks by the values
		p.pruneSettings = append(slices.Clone(p.settings), planAnew)
	}
	if p.write, err = pgxpool.NewWithConfig(ctx, write); err != nil {
		return nil, unavailable("connect to the database", err)
	}
	if p.read, err = pgxpool.NewWithConfig(ctx, read); err != nil {
		p.write.Close()
		return nil, unavailable("connect to the database", err)
	}
	return p, nil
}

func (p *pools) close() {
	p.write.Close()
	p.read.Close()
}

// reading runs f such that its statements have their settings.
func (p *pools) reading(ctx context.Context, f func(context.Context, querier) error) error {
	if len(p.readSettings) == 0 {
		return f(ctx, p.read)
	}
	return transact(ctx, p.read, p.readSettings, f)
}

// transact runs f in a transaction that begins with settings, which are statements.
func transact(ctx context.Context, pool *pgxpool.Pool, settings []string, f func(context.Context, querier) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes one whose transaction is open
	return transactOn(ctx, conn.Conn(), settings, f)
}

func transactOn(ctx context.Context, conn *pgx.Conn, settings []string, f func(context.Context, querier) error) error {
	b := &pgx.Batch{}
	for _, sql := range slices.Concat([]string{`begin`}, settings) {
		b.Queue(sql)
	}
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if err := f(ctx, conn); err != nil {
		if ctx.Err() == nil && !conn.IsClosed() {
			conn.Exec(ctx, `rollback`) // where that fails, the connection is closed
		}
		return err
	}
	ended, err := conn.Exec(ctx, `commit`)
	if err == nil && ended.String() != "COMMIT" {
		err = fmt.Errorf("commit was answered with %s", ended)
	}
	return err
}

// querier is a pool, or the connection of a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}
