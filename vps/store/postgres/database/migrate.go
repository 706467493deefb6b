package database

import (
	"context"
	"embed"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"sunspool/health"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

const (
	schemaTable = "sunspool_schema" // its one row is the number of the last migration

	lockSchema  = `select pg_advisory_xact_lock(7305808869229538660)` // any number that no other program uses
	schemaThere = `select exists (select from pg_class where relname = '` + schemaTable + `' and pg_table_is_visible(oid))`
	makeSchema  = `create table ` + schemaTable + ` (version int4 not null); insert into ` + schemaTable + ` (version) values (0)`
)

// migration is a step of the schema.
type migration struct{ name, sql string }

// migrations returns the files of schema/ in their order: the first one brings an empty database to version 1.
func migrations() ([]migration, error) {
	files, err := schemaFiles.ReadDir("schema") // sorted by name
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, f := range files {
		sql, err := schemaFiles.ReadFile("schema/" + f.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, migration{f.Name(), string(sql)})
	}
	return all, nil
}

// migrateSchema brings the schema up to date. Each migration is a transaction that holds a lock of the whole database
// from its first statement on, so that processes that start at once do it once, also where a pooler gives each transaction
// another connection. Where the schema is up to date, nothing is locked.
func migrateSchema(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	for {
		has, err := schemaVersion(ctx, conn)
		if err != nil {
			return err
		}
		if has > len(all) {
			return newerSchema(has, len(all))
		}
		if has == len(all) {
			return nil
		}
		if err := transactOn(ctx, conn, []string{lockSchema}, func(ctx context.Context, _ Querier) error {
			return migrateOnce(ctx, conn, all, log)
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

// migrateOnce does the next migration, in a transaction that holds the lock. The version is read again, because another process
// may have been faster.
func migrateOnce(ctx context.Context, conn *pgx.Conn, all []migration, log *slog.Logger) error {
	there, has := false, 0
	err := conn.QueryRow(ctx, schemaThere).Scan(&there)
	switch {
	case err != nil:
	case there:
		err = conn.QueryRow(ctx, `select version from `+schemaTable).Scan(&has)
	default:
		_, err = conn.Exec(ctx, makeSchema)
	}
	if err != nil || has >= len(all) {
		return err
	}
	next := all[has]
	log.Info("migrating the database", "to", has+1, "name", next.name)
	if _, err := conn.Exec(ctx, next.sql); err != nil {
		return fmt.Errorf("%s: %w", next.name, err)
	}
	_, err = conn.Exec(ctx, `update `+schemaTable+` set version = $1`, int32(has+1))
	return err
}

// newerSchema refuses a database of a later version.
func newerSchema(has, known int) error {
	return &health.Fault{
		Code: "store_newer", What: "the database was set up by a newer sunspool", Exit: health.ExitConfig,
		Why:  fmt.Sprintf("its schema is %d, this program knows %d", has, known),
		Next: "install that version again, or restore the backup from before the upgrade",
	}
}
