package database

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sunspool/health"
	"sunspool/vps/store"
)

// SQLSTATEs that mean something special here.
const (
	readOnly        = "25006" // a standby, after a failover
	undefinedTable  = "42P01" // our tables were dropped, or the database was restored
	noSuchDatabase  = "3D000"
	unknownName     = "42704" // of a setting, among others
	unsupported     = "0A000"
	noSuchStatement = "26000"
	serialization   = "40001"
	deadlock        = "40P01"
	repeatedKey     = "23505"
	adminShutdown   = "57P01"
	crashShutdown   = "57P02"

	poolerEnds = "08P01" // PgBouncer's code whenever it ends a session, for example for an unknown setting at its start
)

// isChangedPlan reports whether the schema changed under a prepared statement. The code is that of all that is not
// supported, and the message is in the server's language.
func isChangedPlan(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == unsupported && pg.Routine == "RevalidateCachedQuery"
}

// IsRepeatedKey reports whether err is that a row was inserted whose key is there already.
func IsRepeatedKey(err error) bool { return code(err) == repeatedKey }

func code(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// again reports whether what failed may be tried once more at once. After COMMIT was sent nothing is: the rows that it
// stored would not be counted as new.
func again(err error) bool {
	if _, unknown := errors.AsType[unknownOutcome](err); unknown {
		return false
	}
	switch code(err) {
	case noSuchStatement, serialization, deadlock:
		return true
	case unsupported:
		return isChangedPlan(err)
	}
	return broken(err)
}

// broken reports whether err is the end of a connection that existed before. A connection that cannot be made is not: the
// next attempt would fail, too.
func broken(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == adminShutdown || pg.Code == crashShutdown || pg.Code == poolerEnds && pg.SeverityUnlocalized != "ERROR"
	}
	_, network := errors.AsType[net.Error](err)
	return network || pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// permanent reports whether an error of that code comes again however often the statement is tried: the database is of a
// kind that this program does not support, or was changed.
func permanent(code string) bool {
	switch code[:2] {
	case "0A", // not supported
		"23", // a constraint that is not ours: ours are never violated
		"2B", "2F", "38", "39", "3F",
		"42", // no such column, no right to it
		"44", "54",
		"P0": // a trigger that is not ours
		return true
	}
	return code == "53400" // more than a setting of the server allows
}

// unfit returns the error of a statement that the database will always refuse.
func unfit(what string, err error) error {
	f := &health.Fault{
		Code: "database_unfit", What: "PostgreSQL refuses a statement of sunspool", Exit: health.ExitConfig, Err: err,
		Next: "undo what was changed in sunspool's tables or their rights, and look up in docs/scale-out.md which databases work; no retry cures this, edges keep their samples until then",
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		f.Why = fmt.Sprintf("%s: %s (SQLSTATE %s)", what, pg.Message, pg.Code)
	}
	return fmt.Errorf("%w: %s: %w", store.ErrUnfit, what, f)
}

// refusal returns a *health.Fault if an operator must act, else ErrUnavailable. Neither contains the password.
func refusal(config *pgx.ConnConfig, err error) error {
	if _, ok := errors.AsType[*health.Fault](err); ok || err == nil {
		return err
	}
	fault := &health.Fault{Exit: health.ExitConfig, Err: store.Unavailable("prepare the database", err)}
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
	case c == poolerEnds && strings.Contains(fault.Why, "unsupported startup parameter"):
		fault.Code, fault.What = "database_url_invalid", "the pooler before PostgreSQL does not bear a setting in DATABASE_URL"
		fault.Next = "take the setting out of DATABASE_URL, and give it to the user or the database: ALTER ROLE ... SET ..."
	case c == poolerEnds && strings.Contains(fault.Why, "statement pooling"):
		fault.Code, fault.What = "database_pooler", "the pooler before PostgreSQL ends transactions after each statement"
		fault.Next = "set pool_mode = transaction (or session) for this database in pgbouncer.ini, or let DATABASE_URL name PostgreSQL itself"
	case c == "22023" && strings.Contains(fault.Why, "worker nodes"):
		fault.Code, fault.What = "database_cluster", fmt.Sprintf("Citus in database %q has no node to put the tables on", config.Database)
		fault.Next = "SELECT citus_set_coordinator_host(...) and citus_add_node(...) for each worker first, see docs/scale-out.md"
	case c == unsupported:
		fault.Code, fault.What = "database_unfit", fmt.Sprintf("the database on %s is not a PostgreSQL that sunspool can use", config.Host)
		fault.Next = "use PostgreSQL itself, TimescaleDB or Citus: docs/scale-out.md lists what works"
	case strings.HasPrefix(c, "42"):
		fault.Code, fault.What = "database_schema", fmt.Sprintf("the tables of sunspool cannot be made in database %q", config.Database)
		fault.Next = "give sunspool a database of its own"
	default:
		return fault.Err
	}
	return fault
}

// unknownOutcome is an error after COMMIT was sent: whether the group is stored is unknown.
type unknownOutcome struct{ error }

func (e unknownOutcome) Unwrap() error { return e.error }

// OutcomeUnknown returns err as one after COMMIT was sent.
func OutcomeUnknown(err error) error { return unknownOutcome{err} }
