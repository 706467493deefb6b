package database

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/health"
)

// Reach connects to a database once, and looks at whether a server could store in it. Nothing is changed. The error is a *health.Fault.
func Reach(ctx context.Context, pool *pgxpool.Config) error {
	config := pool.ConnConfig
	conn, err := connectPostgres(ctx, config)
	if err == nil {
		err = storable(ctx, config, conn)
		conn.Close(context.WithoutCancel(ctx))
	}
	err = refusal(config, err)
	if _, ok := errors.AsType[*health.Fault](err); err == nil || ok {
		return err
	}
	return &health.Fault{Code: "database_unreachable", Exit: health.ExitUnreachable, What: fmt.Sprintf("PostgreSQL on %s cannot be reached", config.Host), Err: err,
		Next: "check that it runs, and that DATABASE_URL names it"}
}

const (
	takesNothing  = `select current_setting('transaction_read_only') = 'on'`
	mayMakeTables = `select coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)`
	closedTables  = `select coalesce(string_agg(relname, ', ' order by relname), '') from pg_class
		where relname in ('samples', 'rollups', 'devices', 'meta', 'set_aside', 'tokens', 'sites', '` + schemaTable + `') and relkind in ('r', 'p') and pg_table_is_visible(oid)
		and not (has_table_privilege(oid, 'SELECT') and has_table_privilege(oid, 'INSERT') and has_table_privilege(oid, 'UPDATE') and has_table_privilege(oid, 'DELETE'))`
)

// storable returns why the user could not store in the database: it is read-only, its tables are a newer version's or not open to the user, or there
// are none and the user cannot make them.
func storable(ctx context.Context, config *pgx.ConnConfig, conn *pgx.Conn) error {
	ctx, cancel := Bounded(ctx, CallTime)
	defer cancel()
	all, err := migrations()
	if err != nil {
		return err
	}
	standby := false
	if err := conn.QueryRow(ctx, takesNothing).Scan(&standby); err != nil {
		return err
	}
	if standby {
		return &health.Fault{Code: "database_read_only", Exit: health.ExitConfig, What: fmt.Sprintf("database %q on %s takes nothing: it is read-only", config.Database, config.Host), Why: "it is a standby, or default_transaction_read_only is set for it or its user",
			Next: "name the primary in DATABASE_URL, or let this user write"}
	}
	closed := ""
	if err := conn.QueryRow(ctx, closedTables).Scan(&closed); err != nil {
		return err
	}
	if closed != "" {
		return &health.Fault{Code: "database_rights", Exit: health.ExitConfig, What: fmt.Sprintf("user %q may not read and write the tables of sunspool in database %q", config.User, config.Database), Why: closed,
			Next: fmt.Sprintf("make it their owner, or: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %s", pgx.Identifier{config.User}.Sanitize())}
	}
	has, err := schemaVersion(ctx, conn)
	if err != nil || has == len(all) {
		return err
	}
	if has > len(all) {
		return newerSchema(has, len(all))
	}
	may := false
	if err := conn.QueryRow(ctx, mayMakeTables).Scan(&may); err != nil || may {
		return err
	}
	return &health.Fault{Code: "database_rights", Exit: health.ExitConfig, What: fmt.Sprintf("user %q may not set up database %q", config.User, config.Database), Why: "it may not make tables there",
		Next: fmt.Sprintf("make it the owner: ALTER DATABASE %s OWNER TO %s", pgx.Identifier{config.Database}.Sanitize(), pgx.Identifier{config.User}.Sanitize())}
}
