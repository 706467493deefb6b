package database

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"

	"sunspool/health"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

const (
	schemaTable = "sunspool_schema" // its one row is the number of the last migration

	lockSchema  = `select pg_advisory_xact_lock(7305808869229538660)` // any number that no other program uses
	savepoint   = `savepoint migration`
	schemaThere = `select exists (select from pg_class where relname = '` + schemaTable + `' and pg_table_is_visible(oid))`
)

// migrateSchema brings the schema up to date. Each migration is a transaction that holds a lock of the whole database
// from its first statement on, so that processes that start at once do it once, also where a pooler gives each transaction
// another connection. Where the schema is up to date, nothing is locked.
func migrateSchema(ctx context.Context, conn *pgx.Conn, pooled bool, log *slog.Logger) error {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return err
	}
	names, err := migrate.FindMigrations(files)
	if err != nil {
		return err
	}
	settings := []string{lockSchema}
	if pooled {
		settings = append(settings, savepoint)
	}
	for known := len(names); ; {
		has, err := schemaVersion(ctx, conn)
		if err != nil {
			return err
		}
		if has > known {
			return &health.Fault{
				Code: "store_newer", What: "the database was set up by a newer sunspool", Exit: health.ExitConfig,
				Why:  fmt.Sprintf("its schema is %d, this program knows %d", has, known),
				Next: "install that version again, or restore the backup from before the upgrade",
			}
		}
		if has == known {
			return nil
		}
		if err := transactOn(ctx, conn, settings, func(ctx context.Context, _ Querier) error {
			return migrateOnce(ctx, conn, files, known, pooled, log)
		}); err != nil {
			return err
		}
	}
}

// schemaVersion is 0 for an empty database.
func schemaVersion(ctx context.Context, conn *pgx.Conn) (version int, err error) {
	ctx, cancel := Bounded(ctx, CallTime)
	defer cancel()
	there := false
	if err := conn.QueryRow(ctx, schemaThere).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = conn.QueryRow(ctx, `select version from `+schemaTable).Scan(&version)
	return version, err
}

// migrateOnce does the next migration, in a transaction that holds the lock. The library has a lock of its own, of the
// session: behind a pooler it must be gone before the transaction ends, after which others may get the session.
func migrateOnce(ctx context.Context, conn *pgx.Conn, files fs.FS, known int, pooled bool, log *slog.Logger) (err error) {
	defer func() {
		if err != nil && pooled && !conn.IsClosed() {
			conn.Exec(ctx, `rollback to savepoint migration`)
			conn.Exec(ctx, `select pg_advisory_unlock_all()`)
		}
	}()
	m, err := migrate.NewMigratorEx(ctx, conn, schemaTable, &migrate.MigratorOptions{DisableTx: true})
	if err != nil {
		return err
	}
	if err := m.LoadMigrations(files); err != nil {
		return err
	}
	// Not the version that was read before the lock: the library would take a lower number for a request to go back.
	has, err := m.GetCurrentVersion(ctx)
	if err != nil || int(has) >= known { // another process was faster
		return err
	}
	m.OnStart = func(number int32, name, _, _ string) { log.Info("migrating the database", "to", number, "name", name) }
	return m.MigrateTo(ctx, has+1)
}
