//go:build unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/health"
	"sunspool/vps/services"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// run runs statements in a database, past the store.
func run(t testing.TB, url string, statements ...string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	for _, sql := range statements {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// refusedWith opens a database that is to be refused with a fault of that code, and returns its text.
func refusedWith(t *testing.T, url, code string) string {
	t.Helper()
	p, err := Open(Options{URL: url, Log: quiet})
	fault, ok := errors.AsType[*health.Fault](err)
	if !ok || fault.Code != code || fault.What == "" || fault.Why == "" || fault.Next == "" || fault.Exit != health.ExitConfig {
		if p != nil {
			p.Close()
		}
		t.Fatalf("%v, want a fault %s", err, code)
	}
	return fault.What + " " + fault.Why + " " + fault.Next
}

// Some engines that speak PostgreSQL's protocol take its locks for nothing. Two servers would spoil each other's rollups.
func TestDatabaseWithoutLocksIsAFault(t *testing.T) {
	pg := services.SharedPostgres(t)
	url := pg.NewDatabase(t)
	run(t, url, `create function public.pg_try_advisory_xact_lock(bigint) returns boolean language sql as 'select true'`,
		`do $$ begin execute format('alter database %I set search_path = public, pg_catalog', current_database()); end $$`)
	refusedWith(t, url, "database_without_locks")

	cut, through := newCutter(t, pg.NewDatabase(t))
	cut.set(func(fromServer bool, b []byte) (int, bool) {
		for _, lock := range []string{"for update skip locked", "for update"} { // an engine that does not lock rows
			if i := bytes.Index(b, []byte(lock+"\x00")); !fromServer && i >= 0 {
				copy(b[i:], strings.Repeat(" ", len(lock)))
			}
		}
		return len(b), false
	})
	refusedWith(t, through, "database_without_locks")
}

// What is not stored is not acknowledged: a device without its row would have nothing inserted, and no error.
func TestNothingIsAcknowledgedThatIsNotThere(t *testing.T) {
	for name, swallow := range map[string]string{
		"a device": `create trigger swallow before insert on devices for each row execute function swallow()`,
		"samples":  `create trigger swallow before insert on samples for each row execute function swallow()`,
		"rollups":  `create trigger swallow before insert on rollups_base for each row execute function swallow()`,
	} {
		t.Run(name, func(t *testing.T) {
			url := services.SharedPostgres(t).URL()
			p := openPostgres(t, url)
			storetest.Insert(t, p, "b", 1, storetest.At(storetest.Noon, 1))
			run(t, url, `create function swallow() returns trigger language plpgsql as 'begin return null; end'`, swallow)
			for _, samples := range [][]wire.Sample{{storetest.At(storetest.Noon, 1)}, storetest.Houses(storetest.Noon.Add(time.Hour), 5*time.Second, 0, 30)} {
				if n, err := p.Insert(t.Context(), "a", samples); err == nil {
					t.Errorf("%d of %d samples were acknowledged, and are nowhere", n, len(samples))
				}
			}
		})
	}
	t.Run("a row that is deleted", func(t *testing.T) {
		url := services.SharedPostgres(t).URL()
		p := openPostgres(t, url)
		all := storetest.Houses(storetest.Noon, 5*time.Second, 0, 60)
		storetest.Insert(t, p, "a", 30, all[:30]...)
		run(t, url, `delete from devices`)
		storetest.Insert(t, p, "a", 30, all...)
		storetest.ExactlyOnce(t, p, "a", all)
	})
}

// An error that no retry cures is no outage: its words are for the operator, and the samples of others are stored.
func TestWhatNoRetryCuresIsNoOutage(t *testing.T) {
	url := services.SharedPostgres(t).URL()
	p := openPostgres(t, url)
	storetest.Insert(t, p, "a", 1, storetest.At(storetest.Noon, 1))
	unfit := func(what string, err error) {
		t.Helper()
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || !errors.Is(err, store.ErrUnfit) || errors.Is(err, store.ErrUnavailable) || fault.Code != "database_unfit" || fault.Next == "" || !strings.Contains(fault.Why, "SQLSTATE") {
			t.Errorf("%s: %v", what, err)
		}
	}
	run(t, url, `alter table samples rename column pv_power_w to pv`)
	_, err := p.Insert(t.Context(), "a", []wire.Sample{storetest.At(storetest.Noon.Add(time.Second), 1)})
	unfit("a column is gone", err)
	_, err = p.Latest(t.Context(), "a")
	unfit("a column is gone for readers", err)
	run(t, url, `alter table samples rename column pv to pv_power_w`)
	storetest.Insert(t, p, "a", 1, storetest.At(storetest.Noon.Add(time.Second), 1))

	for code, state := range map[string]string{"not supported": "0A000", "no right": "42501", "a constraint": "23514", "a trigger": "P0001"} {
		run(t, url, `create or replace function refuse() returns trigger language plpgsql as $$ begin
			if new.device_id = 'sick' then raise exception 'not that one' using errcode = '`+state+`'; end if; return new; end $$`,
			`create or replace trigger refuse before insert on samples for each row execute function refuse()`)
		sick, well := insertionOf(t, "sick", storetest.At(storetest.Noon, 1)), insertionOf(t, "well "+state, storetest.At(storetest.Noon, 1))
		p.commit([]*insertion{sick, well})
		unfit(code, <-sick.done)
		if err := <-well.done; err != nil || well.new != 1 {
			t.Errorf("%s: the other device has %d new, %v", code, well.new, err)
		}
	}
	for code, state := range map[string]string{"a full disk": "53100", "a shutdown": "57P03", "a node that is away": "08006"} {
		run(t, url, strings.ReplaceAll(`create or replace function refuse() returns trigger language plpgsql as $$ begin
			raise exception 'not now' using errcode = 'STATE'; end $$`, "STATE", state))
		if _, err := p.Insert(t.Context(), "a", []wire.Sample{storetest.At(storetest.Noon.Add(time.Minute), 1)}); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnfit) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// asCitus makes a database that looks like the coordinator of a Citus, or a worker, to whom asks. It shows what the store
// does with one, and nothing of Citus.
func asCitus(t testing.TB, url string, group int, syncCommit string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	for _, sql := range []string{
		`set allow_system_table_mods = on`,
		`insert into pg_extension values (99999, 'citus', 10, 2200, true, '13.2', null, null)`,
		fmt.Sprintf(`create table pg_dist_local_group as select %d as groupid`, group),
		`create function create_distributed_table(regclass, text, colocate_with text default '') returns void language sql as ''`,
		fmt.Sprintf(`create function run_command_on_workers(text) returns table (nodename text, nodeport int, success bool, result text)
			language sql as $$ values ('worker-1', 5432, true, 'on'), ('worker-2', 5432, true, '%s'), ('worker-3', 5432, false, 'away') $$`, syncCommit),
	} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func TestWorkerOfCitusIsNamed(t *testing.T) {
	pg := services.SharedPostgres(t)
	url := pg.NewDatabase(t)
	asCitus(t, url, 2, "on")
	if text := refusedWith(t, url, "database_worker"); !strings.Contains(text, "coordinator") {
		t.Error(text)
	}
	var made int
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := c.QueryRow(t.Context(), `select count(*) from pg_class where relname in ('samples', $1)`, versionTable).Scan(&made); err != nil || made != 0 {
		t.Errorf("%d tables were made on a worker, %v", made, err)
	}
}

// Where Citus is, a transaction has one device, and what commits on a worker is durable there.
func TestTransactionHasOneDeviceWhereCitusIs(t *testing.T) {
	pg := services.SharedPostgres(t)
	asCitus(t, pg.URL(), 0, "off")
	p := openPostgres(t, pg.URL())
	if got := askWriting(p, "citus.propagate_set_commands"); got != "local" {
		t.Errorf("settings of a transaction reach workers: %q", got)
	}
	var all []*insertion
	for i := range 60 {
		all = append(all, insertionOf(t, fmt.Sprint("device-", i%7), storetest.At(storetest.Noon.Add(time.Duration(i)*time.Second), 1)))
	}
	cut := p.transactions(all)
	if len(cut) != 7 {
		t.Errorf("%d transactions of 7 devices", len(cut))
	}
	var g sync.WaitGroup
	for d := range 30 {
		g.Go(func() {
			storetest.Insert(t, p, fmt.Sprint("device-", d), 40, storetest.Houses(storetest.Noon, time.Second, 0, 40)...)
		})
	}
	g.Wait()
	if n := pg.Query(`select count(*) from (select xmin::text from samples group by 1 having count(distinct device_id) > 1) t`); n != "0" {
		t.Errorf("%s transactions have several devices", n)
	}
	storetest.ExactlyOnce(t, p, "device-3", storetest.Houses(storetest.Noon, time.Second, 0, 40))

	run(t, pg.URL(), `create function away() returns trigger language plpgsql as $$ begin
		if new.device_id = 'far' then raise exception 'connection to the remote node failed' using errcode = '08006'; end if; return new; end $$`,
		`create trigger away before insert on samples for each row execute function away()`)
	if _, err := p.Insert(t.Context(), "far", []wire.Sample{storetest.At(storetest.Noon, 1)}); !errors.Is(err, store.ErrPartly) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a worker is away: %v", err)
	}
	storetest.Insert(t, p, "near", 1, storetest.At(storetest.Noon, 1))
}

// A database that cannot run a statement is refused at the start by the statement's name, where Citus is.
func TestStatementThatCannotRunIsNamedAtTheStart(t *testing.T) {
	url := services.SharedPostgres(t).URL()
	asCitus(t, url, 0, "on")
	p := openPostgres(t, url) // all of them can
	p.Close()
	run(t, url, `alter table devices rename column greatest_w to greatest`)
	if text := refusedWith(t, url, "database_unfit"); !strings.Contains(text, "lock a device") || !strings.Contains(text, "greatest_w") {
		t.Error(text)
	}
	for _, s := range deviceStatements() {
		if s.Name == "" || !strings.Contains(s.SQL, "$1") {
			t.Errorf("%q names no parameter: %s", s.Name, s.SQL)
		}
	}
}

// A statement whose plan became wrong by a change of the tables is tried once more; one that is not supported is not,
// though the code is the same.
func TestChangedPlanIsTriedAgain(t *testing.T) {
	url := services.SharedPostgres(t).URL()
	p := openPostgres(t, url)
	run(t, url, `create table plans as select 1 as a`)
	ask := func(sql string) (tries int, err error) {
		err = p.db.Read(t.Context(), "ask", func(ctx context.Context, db database.Querier) error {
			tries++
			_, err := db.Exec(ctx, sql)
			if err == nil {
				rows, e := db.Query(ctx, sql, pgx.QueryExecModeCacheStatement)
				if e != nil {
					return e
				}
				rows.Close()
				err = rows.Err()
			}
			return err
		})
		return tries, err
	}
	if _, err := ask(`select * from plans`); err != nil {
		t.Fatal(err)
	}
	run(t, url, `alter table plans add column b text`)
	for range 8 { // each connection has its plans
		if _, err := ask(`select * from plans`); err != nil {
			t.Errorf("after a change of the table: %v", err)
		}
	}
	run(t, url, `create function unsupported() returns int language plpgsql as $$ begin raise exception 'no' using errcode = '0A000'; end $$`)
	if tries, err := ask(`select unsupported()`); tries != 1 || !errors.Is(err, store.ErrUnfit) {
		t.Errorf("not supported: tried %d times, %v", tries, err)
	}
}
