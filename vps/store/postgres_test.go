//go:build unix

package store

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"sunspool/vps/services"
)

func TestPostgres(t *testing.T) {
	open := opensPostgres(t)
	testSamples(t, func(t *testing.T, dir string) Samples { return open(t, dir) })
}

func TestCachedPostgres(t *testing.T) {
	open := opensPostgres(t)
	testSamples(t, func(t *testing.T, dir string) Samples { return NewCached(open(t, dir), time.Hour) })
}

// opensPostgres returns a function that opens the store of a folder: a database of its own in one server.
func opensPostgres(t *testing.T) func(t *testing.T, dir string) *Postgres {
	pg := services.SharedPostgres(t)
	var mu sync.Mutex
	databases := map[string]string{}
	return func(tt *testing.T, dir string) *Postgres {
		mu.Lock()
		url := databases[dir]
		if url == "" {
			url = pg.NewDatabase(t) // lives longer than the test of the folder: stores close before
			databases[dir] = url
		}
		mu.Unlock()
		return openPostgres(tt, url)
	}
}

// openPostgres opens the store with few connections: many tests share one server. The test closes it.
func openPostgres(t testing.TB, url string) *Postgres {
	t.Helper()
	p, err := OpenPostgres(PostgresOptions{URL: url, Writers: 2, Readers: 2, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}
