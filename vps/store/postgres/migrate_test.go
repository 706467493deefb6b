package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sunspool/internal/race"
	"sunspool/internal/testservices"
	"sunspool/vps/store/storetest"
)

// schemaByTern makes the table of versions as tern v2.3.4 did, which all releases until 2026 used.
const schemaByTern = `
    create table if not exists sunspool_schema(version int4 not null);

    insert into sunspool_schema(version)
    select 0
    where 0=(select count(*) from sunspool_schema);
  `

// A database that tern brought to any version is taken as it is and goes on from there, and in the end nobody can tell
// who migrated it: a release that uses tern can still read it.
func TestDatabaseThatTernMigratedIsTakenAsItIs(t *testing.T) {
	race.Skip(t, "one goroutine migrates")
	files, err := os.ReadDir("database/schema")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		sql, err := os.ReadFile("database/schema/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(sql))
	}
	ours := testservices.SharedPostgres(t)
	openPostgres(t, ours.URL())
	for version := range len(all) + 1 {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			pg := testservices.SharedPostgres(t)
			conn, err := pgx.Connect(t.Context(), pg.URL())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.Background())
			exec := func(sql string, args ...any) {
				if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
					t.Fatal(err)
				}
			}
			exec(schemaByTern)
			for i, sql := range all[:version] {
				exec(sql)
				exec(`update sunspool_schema set version=$1`, int32(i+1))
			}
			if version > 0 {
				exec(`insert into samples (device_id, ts, pv_power_w, sample_count) values ('a', '2026-06-21T12:00:00Z', 4711, 1)`)
			}
			var log lockedBuffer
			if err := Migrate(t.Context(), pg.URL(), slog.New(slog.NewJSONHandler(&log, nil))); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(log.String(), "migrating the database"); n != len(all)-version {
				t.Errorf("%d migrations ran:\n%s", n, log.String())
			}
			for _, what := range []string{
				`select string_agg(version::text, ' ') from sunspool_schema`,
				`select string_agg(concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default), ', ' order by table_name, ordinal_position)
					from information_schema.columns where table_schema = 'public'`,
				`select string_agg(indexdef, ', ' order by indexdef) from pg_indexes where schemaname = 'public'`,
			} {
				if got, want := pg.Query(what), ours.Query(what); got != want {
					t.Errorf("%s\nis %s\nwant %s", what, got, want)
				}
			}
			p := openPostgres(t, pg.URL())
			if version > 0 {
				if s := storetest.Latest(t, p, "a"); s.PVPowerW != 4711 {
					t.Errorf("%+v", s)
				}
			}
			storetest.Insert(t, p, "b", 1, storetest.At(storetest.Noon, 1))
		})
	}
}
