//go:build unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func TestProcessesThatStartAtOnceMigrateOnce(t *testing.T) {
	startAtOnce(t, testservices.SharedPostgres(t))
}

func startAtOnce(t *testing.T, pg *testservices.PostgresServer) {
	var log lockedBuffer
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			p, err := Open(Options{URL: pg.URL(), Writers: 1, Readers: 1, Log: log.logger()})
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			deliver(t, p, "a", []wire.Sample{storetest.At(storetest.Noon, 1)}) // again while another one still migrates
		})
		g.Go(func() {
			if err := Migrate(t.Context(), pg.URL(), log.logger()); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if n := strings.Count(log.String(), `"name":"001_samples.sql"`); n != 1 {
		t.Errorf("the first migration ran %d times:\n%s", n, log.String())
	}
}

// lockedBuffer is where several loggers write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *lockedBuffer) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(b, nil)) }

// What an operator must act on ends the start with what, why and what next, and never with the password.
func TestDatabaseThatCannotBeUsedIsAFault(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	hba := filepath.Join(pg.Data(), "pg_hba.conf")
	pg.Exec(`create role stranger login password 'right'`)
	pg.Exec(`create role guest login`)
	rules := "host all stranger all scram-sha-256\nhost all all all trust\n"
	if err := os.WriteFile(hba, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	pg.Exec(`select pg_reload_conf()`)
	newer := pg.NewDatabase(t)
	p := openPostgres(t, newer)
	if err := p.db.Change(t.Context(), "be from the future", func(ctx context.Context, db database.Querier) error {
		_, err := db.Exec(ctx, `update `+versionTable+` set version = 99`)
		return err
	}); err != nil {
		t.Fatal(err)
	}

	u, err := url.Parse(pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	const secret = "canary%s/?#secret"
	as := func(user, database, options string) string {
		v := *u
		v.User, v.Path, v.RawQuery = url.UserPassword(user, secret), "/"+database, options
		return v.String()
	}
	for _, c := range []struct{ code, url string }{
		{"database_url_invalid", "postgres://user:" + secret + "@[::1/db"},
		{"database_url_invalid", as("sunspool", "postgres", "sslmode=perhaps")},
		{"database_url_invalid", as("sunspool", "postgres", "sslmode=disable&nonsense=1")},
		{"database_missing", as("sunspool", "nowhere", "sslmode=disable")},
		{"database_login", as("stranger", "postgres", "sslmode=disable")},
		{"database_rights", as("guest", "postgres", "sslmode=disable")},
		{"store_newer", newer},
	} {
		var log lockedBuffer
		p, err := Open(Options{URL: c.url, Log: log.logger()})
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || p != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		text := fmt.Sprint(fault, fault.What, fault.Why, fault.Next, fault.Err, log.String())
		if fault.Code != c.code || fault.What == "" || fault.Why == "" || fault.Next == "" || fault.Exit == 0 || strings.Contains(text, "canary") {
			t.Errorf("%s: %#v", c.code, fault)
		}
		if strings.Contains(log.String(), "trying again") {
			t.Errorf("%s: it does not try again, but says so: %s", c.code, log.String())
		}
		if err := Migrate(t.Context(), c.url, quiet); err == nil {
			t.Errorf("%s: migrated", c.code)
		}
	}

	v := *u
	v.Scheme, v.RawQuery = "postgresql+asyncpg", "ssl=disable"
	storetest.Insert(t, openPostgres(t, v.String()), "a", 1, storetest.At(storetest.Noon, 1))
}

func TestCommitIsDurableWhateverTheServersDefault(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.Set("synchronous_commit", "off"), testservices.NoFsync)
	var log lockedBuffer
	p, err := Open(Options{URL: pg.URL(), Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if !strings.Contains(log.String(), "fsync=off") {
		t.Errorf("nothing is said of fsync=off:\n%s", log.String())
	}
	var commit string
	if err := p.db.Change(t.Context(), "ask", func(ctx context.Context, db database.Querier) error {
		return db.QueryRow(ctx, `select current_setting('synchronous_commit')`).Scan(&commit)
	}); err != nil || commit != "on" {
		t.Errorf("synchronous_commit is %s where it writes, %v", commit, err)
	}
}

// The store opens without a database, answers 503 meanwhile, and is ready soon after it comes.
func TestStoreOpensBeforeItsDatabase(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	pg.Stop()
	var log lockedBuffer
	p, err := Open(Options{URL: pg.URL(), Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	testservices.Await(t, "the log says what to do", func() bool {
		return strings.Contains(log.String(), "trying again") && strings.Contains(log.String(), `"next":"check that`)
	})
	for name, call := range storetest.Calls(p) {
		if err := call(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s without a database: %v", name, err)
		}
	}
	pg.Start()
	recovers(t, p)
	storetest.Insert(t, p, "b", 1, storetest.At(storetest.Noon, 1))

	// Somebody drops the tables, or restores an empty backup: they come back without a restart.
	pg.Exec(`drop table samples, rollups, devices, meta, set_aside, tokens, sites, ` + versionTable)
	if err := p.Check(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without tables: %v", err)
	}
	recovers(t, p)
}

// The schema uses the extension that is there. Debian's TimescaleDB is the Apache edition, which cannot compress.
func TestSamplesAreAHypertableWhereTimescaleIs(t *testing.T) {
	pg := testservices.SharedPostgres(t)
	if pg.Query(`select count(*) from pg_available_extensions where name = 'timescaledb'`) == "0" {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this PostgreSQL has no TimescaleDB; TEST_DATABASE_URL can name one that has, make test-timescale starts one")
	}
	pg.Exec(`create extension if not exists timescaledb`)
	samplesAreAHypertable(t, pg)
}

func samplesAreAHypertable(t *testing.T, pg *testservices.PostgresServer) {
	p := openPostgres(t, pg.URL())
	all := storetest.Houses(storetest.Noon, time.Hour, 0, 24*40)
	storetest.Insert(t, p, "a", len(all), all...)
	if n := pg.Query(`select count(*) from timescaledb_information.chunks where hypertable_name = 'samples'`); n < "5" {
		t.Errorf("40 days of samples are in %s chunks", n)
	}
	storetest.Insert(t, p, "a", 0, all...)
	storetest.ExactlyOnce(t, p, "a", all)
	if n, err := p.Prune(t.Context(), storetest.Noon.AddDate(0, 0, 20)); n != 20*24 || err != nil {
		t.Errorf("%d pruned, %v", n, err)
	}
	if n := pg.Query(`select count(*) from samples where ts < $1`, storetest.Noon.AddDate(0, 0, 20)); n != "0" {
		t.Errorf("%s samples are left that should be pruned", n)
	}
}

// PgBouncer ends a session that begins with a setting that it does not know.
func TestPoolerThatRefusesOurSettings(t *testing.T) {
	cut, through := newCutter(t, testservices.SharedPostgres(t).URL())
	var refusals atomic.Int64
	cut.mu.Lock()
	cut.refuse = func(startup []byte) string {
		if !bytes.Contains(startup, []byte("_timeout\x00")) {
			return ""
		}
		refusals.Add(1)
		return "SFATAL\x00C08P01\x00Munsupported startup parameter: statement_timeout\x00\x00"
	}
	cut.mu.Unlock()
	p := openPostgres(t, through)
	storetest.Insert(t, p, "a", 1, storetest.At(storetest.Noon, 1))
	storetest.Latest(t, p, "a")
	if n := refusals.Load(); n != 1 {
		t.Errorf("%d sessions were refused, the first one tells", n)
	}
}
