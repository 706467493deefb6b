//go:build unix

package vps

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"sunspool/internal/testservices"
	"sunspool/settings"
)

// The tables of a database are made without a token, a port or a service.
func TestMigrateOnlyMakesTheTablesAndEnds(t *testing.T) {
	url := testservices.SharedPostgres(t).NewDatabase(t)
	cfg := Config{DatabaseURL: settings.Secret(url), MigrateOnly: true}
	for range 2 {
		if err := Run(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	var tables int
	if err := db.QueryRow(t.Context(), "select count(*) from pg_class where relname in ('samples', 'rollups', 'devices') and relkind in ('r', 'p')").Scan(&tables); err != nil || tables != 3 {
		t.Errorf("%d tables, %v", tables, err)
	}
}
