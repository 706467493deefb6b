//go:build unix

package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/storetest"
)

// pooled are the ways in which PgBouncer is set up. Few sessions each: a server has not many.
var pooled = map[string][]string{
	"transaction":           {"pool_mode = transaction", "default_pool_size = 8", "server_idle_timeout = 2"},
	"session":               {"pool_mode = session", "default_pool_size = 20", "server_idle_timeout = 2"},
	"settings are left out": {"pool_mode = transaction", "default_pool_size = 8", "ignore_startup_parameters = jit,statement_timeout,lock_timeout,idle_in_transaction_session_timeout,plan_cache_mode"},
}

func TestPostgresThroughPgBouncer(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	bouncer := testservices.PgBouncer(t, pg, pooled["transaction"]...)
	var mu sync.Mutex
	databases := map[string]string{}
	storetest.Run(t, func(tt *testing.T, dir string) store.Samples {
		mu.Lock()
		if databases[dir] == "" {
			databases[dir] = bouncer.URL(pg.NewDatabase(t))
		}
		url := databases[dir]
		mu.Unlock()
		return openPostgres(tt, url)
	})
}

// What was acknowledged survives a power cut, whatever the database, its role, the server or a pooler set: a trigger notes
// what holds when rows are inserted.
func TestAcknowledgedCommitsAreDurable(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	pg.Exec(`create role forgetful superuser login`)
	pg.Exec(`alter role forgetful set synchronous_commit = off`)
	for name, settings := range pooled {
		t.Run(name, func(t *testing.T) {
			answersDurably(t, pg, testservices.PgBouncer(t, pg, settings...).URL)
		})
	}
	t.Run("directly", func(t *testing.T) { answersDurably(t, pg, func(url string) string { return url }) })
	t.Run("a role of its own", func(t *testing.T) {
		answersDurably(t, pg, func(url string) string { return with(url, "user", "forgetful") })
	})
}

func answersDurably(t *testing.T, pg *testservices.PostgresServer, through func(string) string) {
	direct := pg.NewDatabase(t)
	p := openPostgres(t, through(direct))
	storetest.Insert(t, p, "device-0", 1, storetest.At(storetest.Noon, 1))
	db := openPostgres(t, direct).db.Pools().Write
	for _, sql := range []string{
		`create table seen (what text)`,
		`create function note() returns trigger language plpgsql as $$ begin
			insert into seen values (current_setting('synchronous_commit')); return null; end $$`,
		`create trigger note after insert on samples for each statement execute function note()`,
		`do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$`,
		// Sessions that are there go on; those of another store begin with what the database says.
	} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	second := openPostgres(t, through(direct))
	pg.Exec(`alter system set synchronous_commit = off`)
	pg.Exec(`select pg_reload_conf()`)
	var g sync.WaitGroup
	for d := range 8 {
		g.Go(func() {
			for i := range 10 {
				either := []*Store{p, second}[i%2]
				storetest.Insert(t, either, fmt.Sprint("device-", d), 1, storetest.At(storetest.Noon.Add(time.Duration(i+1)*time.Second), 1))
			}
		})
	}
	g.Wait()
	var seen, forgetful int
	if err := db.QueryRow(t.Context(), `select count(*), count(*) filter (where what = 'off') from seen`).Scan(&seen, &forgetful); err != nil {
		t.Fatal(err)
	}
	if seen != 80 || forgetful > 0 {
		t.Errorf("%d of %d inserts would be answered before they are durable", forgetful, seen)
	}
}

// What the server is told while a transaction is open changes nothing for it.
func TestTransactionsThatAreOpenStayDurable(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	p := openPostgres(t, pg.NewDatabase(t))
	err := p.db.Change(t.Context(), "reload", func(ctx context.Context, db database.Querier) error {
		pg.Exec(`alter system set synchronous_commit = off`)
		pg.Exec(`select pg_reload_conf()`)
		for range 100 { // sessions are told between statements, not at once
			var now string
			if err := db.QueryRow(ctx, `select current_setting('synchronous_commit') from pg_sleep(0.01)`).Scan(&now); err != nil || now == "off" {
				return fmt.Errorf("it is %q: %v", now, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Processes that start at once through a pooler migrate once, and leave no lock in the sessions that others get.
func TestProcessesThatStartAtOnceThroughPgBouncer(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	bouncer := testservices.PgBouncer(t, pg, pooled["transaction"]...)
	url := bouncer.URL(pg.NewDatabase(t))
	var log lockedBuffer
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			if err := Migrate(t.Context(), url, log.logger()); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if n := pg.Query(`select count(*) from pg_locks where locktype = 'advisory'`); n != "0" {
		t.Errorf("%s locks are left behind", n)
	}
	storetest.Insert(t, openPostgres(t, url), "a", 1, storetest.At(storetest.Noon, 1))
}

// The settings of a session are those of each transaction, for what writes and for what reads.
func TestSettingsHoldThroughPgBouncer(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	for name, settings := range pooled {
		t.Run(name, func(t *testing.T) {
			p := openPostgres(t, with(testservices.PgBouncer(t, pg, settings...).URL(pg.NewDatabase(t)), "lock_timeout", "4321"))
			for name, ask := range map[string]func(*Store, string) string{"read": askReading, "write": askWriting} {
				for setting, want := range map[string]string{"jit": "off", "lock_timeout": "4321ms", "idle_in_transaction_session_timeout": "30s"} {
					if got := ask(p, setting); got != want {
						t.Errorf("%s: %s is %q, want %q", name, setting, got, want)
					}
				}
			}
		})
	}
}

func askReading(p *Store, setting string) (value string) {
	err := p.db.Read(context.Background(), "ask", func(ctx context.Context, db database.Querier) error {
		return db.QueryRow(ctx, `select current_setting($1)`, setting).Scan(&value)
	})
	return cmp.Or(value, fmt.Sprint(err))
}

func askWriting(p *Store, setting string) (value string) {
	err := p.db.Change(context.Background(), "ask", func(ctx context.Context, db database.Querier) error {
		return db.QueryRow(ctx, `select current_setting($1)`, setting).Scan(&value)
	})
	return cmp.Or(value, fmt.Sprint(err))
}

// A pooler that ends a transaction after each statement cannot work, and is named.
func TestPgBouncerOfStatementsIsAFault(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	url := testservices.PgBouncer(t, pg, "pool_mode = statement").URL(pg.NewDatabase(t))
	p, err := Open(Options{URL: url, Log: quiet})
	if fault, ok := errors.AsType[*health.Fault](err); !ok || fault.Code != "database_pooler" || fault.Next == "" {
		t.Fatalf("%v, %+v", err, p)
	}
	_, err = Open(Options{URL: with(testservices.PgBouncer(t, pg, pooled["transaction"]...).URL(pg.NewDatabase(t)), "work_mem", "8MB"), Log: quiet})
	if fault, ok := errors.AsType[*health.Fault](err); !ok || fault.Code != "database_url_invalid" {
		t.Fatalf("a setting that PgBouncer does not know: %v", err)
	}
}

// A PgBouncer that is restarted, and a server behind one, are met again, and nothing is lost.
func TestRestartedPgBouncerLosesNothing(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	bouncer := testservices.PgBouncer(t, pg, pooled["transaction"]...)
	p := openWithin(t, bouncer.URL(pg.NewDatabase(t)), 0)
	all := storetest.Houses(storetest.Noon, 5*time.Second, 0, 90)
	for i, restart := range []func(){func() { bouncer.Stop(); bouncer.Start() }, func() { pg.Stop(); pg.Start() }, func() { pg.Kill(); pg.Start() }} {
		deliver(t, p, "a", all[30*i:30*i+30])
		restart()
		deliver(t, p, "a", all[30*i:30*i+30])
	}
	storetest.ExactlyOnce(t, p, "a", all)
}

// A pooler of connections cannot keep prepared statements.
func TestModesForPoolers(t *testing.T) {
	modesForPoolers(t, testservices.SharedPostgres(t))
}

func modesForPoolers(t *testing.T, pg *testservices.PostgresServer) {
	for _, mode := range []string{"exec", "cache_describe", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			p := openPostgres(t, with(pg.NewDatabase(t), "default_query_exec_mode", mode))
			all := storetest.Random(rand.New(rand.NewPCG(25, 26)), storetest.Noon, 20*time.Hour, 300)
			all[7].Values = map[string]float64{"x": 1.5}
			storetest.Insert(t, p, "a", 300, all...)
			storetest.Insert(t, p, "a", 0, all...)
			storetest.ExactlyOnce(t, p, "a", all)
			if err := p.Describe(t.Context(), "a", store.About{Zone: "Asia/Kathmandu"}); err != nil {
				t.Error(err)
			}
			if about, err := p.About(t.Context(), "a"); about.Zone != "Asia/Kathmandu" || err != nil {
				t.Errorf("about %+v, %v", about, err)
			}
			if n, err := p.Prune(t.Context(), storetest.Noon.Add(10*time.Hour)); n == 0 || err != nil || p.Conflicts() != 0 {
				t.Errorf("%d pruned, %v, %d conflicts", n, err, p.Conflicts())
			}
		})
	}
}
