//go:build unix

package testservices

import (
	"net/url"
	"os"
	"strings"
	"testing"
)

// Citus is a cluster that is there already: TEST_CITUS_URL is its coordinator, as its workers reach it, and
// TEST_CITUS_WORKERS are host:port of these, with commas. Each test makes a database on every node and drops it. Without
// them the test is skipped: Citus cannot be installed by itself.
func Citus(t testing.TB) *PostgresServer {
	t.Helper()
	raw, workers := os.Getenv("TEST_CITUS_URL"), os.Getenv("TEST_CITUS_WORKERS")
	if raw == "" || workers == "" {
		skip(t, "no Citus: TEST_CITUS_URL is to name a coordinator, and TEST_CITUS_WORKERS=host:port,... its workers")
	}
	coordinator, err := url.Parse(raw)
	if err != nil {
		t.Fatal("TEST_CITUS_URL is not a URL") // the error would show its password
	}
	pg := &PostgresServer{t: t, url: *coordinator}
	pg.setUp = append(pg.setUp, func(t testing.TB, database url.URL) {
		name := strings.TrimPrefix(database.Path, "/")
		for worker := range strings.SplitSeq(workers, ",") {
			server, there := *coordinator, database
			server.Host, there.Host = worker, worker
			must(t, server, "CREATE DATABASE "+name)
			must(t, there, "CREATE EXTENSION citus")
		}
		must(t, database, "CREATE EXTENSION citus")
		must(t, database, "ALTER DATABASE "+name+" SET citus.shard_count = 4") // a shard is made in seconds
		port := coordinator.Port()
		if port == "" {
			port = "5432"
		}
		must(t, database, "SELECT citus_set_coordinator_host($1, $2::text::int)", coordinator.Hostname(), port)
		for worker := range strings.SplitSeq(workers, ",") {
			host, port, _ := strings.Cut(worker, ":")
			must(t, database, "SELECT citus_add_node($1, $2::text::int)", host, port)
		}
	})
	pg.tidyUp = append(pg.tidyUp, func(t testing.TB, database url.URL) {
		for worker := range strings.SplitSeq(workers, ",") {
			server := *coordinator
			server.Host = worker
			if err := run(&server, "DROP DATABASE IF EXISTS "+strings.TrimPrefix(database.Path, "/")+" WITH (FORCE)"); err != nil {
				t.Logf("the test's database is left behind on %s: %v", worker, err)
			}
		}
	})
	pg.url = pg.newDatabase(t)
	return pg
}

func must(t testing.TB, database url.URL, sql string, args ...any) {
	t.Helper()
	if err := run(&database, sql, args...); err != nil {
		t.Fatalf("%s: %s: %v", database.Host, sql, err)
	}
}
