package database

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// sessionSettings are those with which sessions begin. The time limits are for what an abandoned call left behind: calls have
// limits of their own.
func sessionSettings(callTime time.Duration) map[string]string {
	milliseconds := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return map[string]string{
		"application_name": "sunspool", "jit": "off", "statement_timeout": milliseconds(2 * callTime),
		"lock_timeout": milliseconds(callTime), "idle_in_transaction_session_timeout": "30000",
	}
}

// syncCommit makes the commit of a transaction durable before it is answered, whatever server, database, role or pooler
// have set, or set while the transaction is open: hence each transaction sets it, whatever holds when it begins. Settings of an
// operator that ask for more, or for a standby, stay.
const syncCommit = `select set_config('synchronous_commit',
	case s when 'off' then 'on' else s end, true) from current_setting('synchronous_commit') s`

// syncWorkers makes Citus do the same on the worker that commits.
var syncWorkers = []string{`set local citus.propagate_set_commands = 'local'`, `set local synchronous_commit = on`}

// throughPooler changes what a pooler between us and the server, such as PgBouncer, does not accept: settings at the start
// of a session, and statements that are prepared on a connection, because each transaction may get another one. It returns
// the settings as a statement for the beginning of each transaction.
func throughPooler(c *pgx.ConnConfig) (set string) {
	var calls []string
	for _, name := range slices.Sorted(maps.Keys(sessionSettings(0))) {
		if name == "application_name" { // poolers accept it
			continue
		}
		if value := c.RuntimeParams[name]; value != "" {
			calls = append(calls, fmt.Sprintf("set_config('%s', '%s', true)", name, strings.ReplaceAll(value, "'", "''")))
		}
		delete(c.RuntimeParams, name)
	}
	if c.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return `select ` + strings.Join(calls, ", ")
}

// isPooled reports whether there is a pooler in between: the session that it shows is not the one that the server has. A
// pooler that is configured to ignore settings cannot be recognised otherwise.
func isPooled(ctx context.Context, conn *pgx.Conn) (bool, error) {
	ctx, cancel := Bounded(ctx, CallTime)
	defer cancel()
	var pid uint32
	err := conn.QueryRow(ctx, `select pg_backend_pid()`, pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid != conn.PgConn().PID(), err
}

// planCacheMode: the statements of an insert find all by primary keys, whatever their parameters. To plan one costs five
// times as much as to run it, and PostgreSQL would plan some of them each time, because it assumes that the arrays are long.
// Citus needs the parameters to find the shard.
const (
	planCacheMode = "plan_cache_mode"
	planAnew      = `set local plan_cache_mode = force_custom_plan`
)

// server is what prepare detected.
type server struct {
	pooled           bool // by a pooler in between
	distributed      bool // by Citus
	hypertable       bool // of TimescaleDB
	forgetfulWorkers bool // synchronous_commit is off on a worker of Citus
}
