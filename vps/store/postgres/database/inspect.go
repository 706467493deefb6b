package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"sunspool/health"
)

const oldestPostgres = 150000 // as server_version_num

// inspect checks the database before anything is changed in it, and refuses one that would lose samples. fsync=off is only a
// warning: it is a setting of the whole server, which may be one for tests.
func (s *server) inspect(ctx context.Context, config *pgx.ConnConfig, conn *pgx.Conn, log *slog.Logger) error {
	limited, cancel := Bounded(ctx, CallTime)
	defer cancel()
	var version int
	var name, fsync string
	if err := conn.QueryRow(limited, `select current_setting('server_version_num')::int, current_setting('server_version'),
		current_setting('fsync'), exists (select from pg_extension where extname = 'citus'),
		exists (select from pg_extension where extname = 'timescaledb')`).Scan(&version, &name, &fsync, &s.distributed, &s.hypertable); err != nil {
		return err
	}
	if version < oldestPostgres {
		return &health.Fault{
			Code: "database_too_old", What: "PostgreSQL " + name + " is too old", Exit: health.ExitConfig,
			Why: "sunspool needs version 15 or later", Next: "upgrade the server, or let DATABASE_URL name another",
		}
	}
	if fsync == "off" {
		log.Warn("the database runs with fsync=off: a power cut can lose or destroy everything in it; set fsync=on")
	}
	if s.distributed {
		if err := refuseWorker(limited, config, conn); err != nil {
			return err
		}
	}
	return s.proveLocks(ctx, config, conn, `select pg_try_advisory_xact_lock($1)`, `select not pg_try_advisory_xact_lock($1)`, rand.Int64())
}

// inspectTables checks the database again, now that it has our tables.
func (s *server) inspectTables(ctx context.Context, config *pgx.ConnConfig, conn *pgx.Conn, statements []Statement, log *slog.Logger) error {
	if err := s.proveLocks(ctx, config, conn, `select version > $1 from `+schemaTable+` for update`,
		`select version < $1 from `+schemaTable+` for update skip locked`, 0); err != nil || !s.distributed {
		return err
	}
	if err := s.inspectWorkers(ctx, conn, log); err != nil {
		return err
	}
	return explainStatements(ctx, conn, statements, log)
}

// refuseWorker refuses a worker of Citus: it has none of the tables that are not distributed, and would make its own.
func refuseWorker(ctx context.Context, config *pgx.ConnConfig, conn *pgx.Conn) error {
	var group int
	if err := conn.QueryRow(ctx, `select groupid from pg_dist_local_group`).Scan(&group); err != nil || group == 0 {
		return err
	}
	return &health.Fault{
		Code: "database_worker", What: fmt.Sprintf("DATABASE_URL names %s:%d, which is a worker of Citus", config.Host, config.Port), Exit: health.ExitConfig,
		Why:  "only the coordinator has all tables",
		Next: "let DATABASE_URL name the coordinator: SELECT nodename, nodeport FROM pg_dist_node WHERE groupid = 0",
	}
}

// inspectWorkers checks whether commits are durable on the workers of Citus, where samples are. A worker that does not answer
// stops its own devices only.
func (s *server) inspectWorkers(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	ctx, cancel := Bounded(ctx, CallTime)
	defer cancel()
	rows, err := conn.Query(ctx, `select nodename, nodeport, success, result from run_command_on_workers('show synchronous_commit')`)
	if err != nil {
		return err
	}
	var node, result string
	var port int
	var success bool
	_, err = pgx.ForEachRow(rows, []any{&node, &port, &success, &result}, func() error {
		switch {
		case !success:
			log.Warn("a worker of Citus does not answer: its devices cannot be stored", "node", node, "port", port, "error", result)
		case result == "off":
			s.forgetfulWorkers = true
		}
		return nil
	})
	return err
}

// proveLocks refuses a database that grants the same lock to two transactions at once: what one of two servers counts would be
// lost, without any error. Take is a statement that takes the lock, and held one that is true, or has no row, while another
// transaction has it. A check that fails is no reason to refuse: the second connection may not be available.
func (s *server) proveLocks(ctx context.Context, config *pgx.ConnConfig, conn *pgx.Conn, take, held string, key int64) error {
	ctx, cancel := Bounded(ctx, CallTime)
	defer cancel()
	err := inTrial(ctx, conn, func() error {
		got := false
		if err := conn.QueryRow(ctx, take, key).Scan(&got); err != nil || !got {
			return err
		}
		second, err := connectPostgres(ctx, config)
		if err != nil {
			return nil
		}
		defer second.Close(context.WithoutCancel(ctx))
		isHeld := true
		if err := inTrial(ctx, second, func() error { return second.QueryRow(ctx, held, key).Scan(&isHeld) }); err != nil || isHeld {
			return nil
		}
		return &health.Fault{
			Code: "database_without_locks", What: fmt.Sprintf("the database on %s does not keep two transactions apart", config.Host), Exit: health.ExitConfig,
			Why:  "it gave the same lock to two of them at once, so two servers would spoil each other's sums",
			Next: "use PostgreSQL itself, TimescaleDB or Citus: docs/scale-out.md lists what works",
		}
	})
	if code(err) == readOnly { // a standby locks no rows, and stores no samples
		return nil
	}
	return err
}

// inTrial runs f in a transaction that is rolled back. A pooler that ends transactions after each statement refuses to
// begin one.
func inTrial(ctx context.Context, conn *pgx.Conn, f func() error) error {
	if _, err := conn.Exec(ctx, `begin`); err != nil {
		return err
	}
	err := f()
	if !conn.IsClosed() {
		_, ended := conn.Exec(ctx, `rollback`)
		err = errors.Join(err, ended)
	}
	return err
}

// explainStatements asks Citus how it would run each statement of the store, so that one that it cannot run is found
// before the first sample comes.
func explainStatements(ctx context.Context, conn *pgx.Conn, statements []Statement, log *slog.Logger) error {
	for _, s := range statements {
		limited, cancel := Bounded(ctx, CallTime)
		_, err := conn.Exec(limited, `explain `+s.SQL, s.Args...)
		cancel()
		switch c := code(err); {
		case err == nil:
		case c != "" && permanent(c):
			return &health.Fault{
				Code: "database_unfit", What: fmt.Sprintf("the database cannot run a statement of sunspool: %s", s.Name), Exit: health.ExitConfig, Err: err,
				Why:  fmt.Sprintf("%v; the statement begins %.80q", err, s.SQL),
				Next: "use a version of Citus that docs/scale-out.md names, or PostgreSQL without it",
			}
		default: // a worker is away: its devices wait, and the others are served
			log.Warn("not known whether the database can run a statement", "statement", s.Name, "error", err.Error())
			return ctx.Err()
		}
	}
	return nil
}

// Statement is one that reads rows of a device or changes them, with parameters that it may have.
type Statement struct {
	Name, SQL string
	Args      []any
}
