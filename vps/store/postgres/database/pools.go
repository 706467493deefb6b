package database

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/vps/store"
)

// Pools are the connections, and how transactions begin on them. A connection that was abandoned stays counted until the
// database has closed it; hence twice as many as work at once.
type Pools struct {
	Write, Read                           *pgxpool.Pool
	Settings, ReadSettings, PruneSettings []string
	Distributed                           bool // by Citus
}

// Options are what pools are for.
type Options struct {
	Writers, Readers int           // transactions and queries at once
	CallTime         time.Duration // for each call
	Statements       []Statement   // that the database must be able to run
	Log              *slog.Logger
}

// openPools prepares a database and connects to it.
func openPools(ctx context.Context, config *pgxpool.Config, o Options) (*Pools, error) {
	found, err := prepare(ctx, config, false, o.Statements, o.Log)
	if err != nil {
		return nil, err
	}
	write, read := config.Copy(), config.Copy()
	write.MaxConns, read.MaxConns = int32(2*o.Writers+2), int32(2*o.Readers)
	p := &Pools{Settings: []string{syncCommit}, Distributed: found.distributed}
	if !found.pooled && !found.distributed && write.ConnConfig.RuntimeParams[planCacheMode] == "" {
		write.ConnConfig.RuntimeParams[planCacheMode] = "force_generic_plan"
	}
	if found.pooled {
		throughPooler(write.ConnConfig)
		set := throughPooler(read.ConnConfig)
		p.Settings, p.ReadSettings = append(p.Settings, set), []string{`set transaction read only`, set}
	}
	if found.forgetfulWorkers {
		p.Settings = append(p.Settings, syncWorkers...)
	}
	p.PruneSettings = p.Settings
	if found.hypertable { // it leaves out chunks by the values
		p.PruneSettings = append(slices.Clone(p.Settings), planAnew)
	}
	if p.Write, err = pgxpool.NewWithConfig(ctx, write); err != nil {
		return nil, store.Unavailable("connect to the database", err)
	}
	if p.Read, err = pgxpool.NewWithConfig(ctx, read); err != nil {
		p.Write.Close()
		return nil, store.Unavailable("connect to the database", err)
	}
	return p, nil
}

func (p *Pools) close() {
	p.Write.Close()
	p.Read.Close()
}

// reading runs f such that its statements have their settings.
func (p *Pools) reading(ctx context.Context, f func(context.Context, Querier) error) error {
	if len(p.ReadSettings) == 0 {
		return f(ctx, p.Read)
	}
	return Transact(ctx, p.Read, p.ReadSettings, f)
}

// Transact runs f in a transaction that begins with settings, which are statements.
func Transact(ctx context.Context, pool *pgxpool.Pool, settings []string, f func(context.Context, Querier) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes one whose transaction is open
	return transactOn(ctx, conn.Conn(), settings, f)
}

func transactOn(ctx context.Context, conn *pgx.Conn, settings []string, f func(context.Context, Querier) error) error {
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

// Querier is a pool, or the connection of a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}
