//go:build linux

package testservices

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const orphanVariable = "SUNSPOOL_SERVICES_ORPHAN"

// TestMain is also the victim of TestNothingOutlivesAKilledTest: it starts servers, says which, and waits for its death.
func TestMain(m *testing.M) {
	if os.Getenv(orphanVariable) != "" {
		// Only a test can start servers: hence the flag below instead of a function here.
		os.Args = []string{os.Args[0], "-test.run=^TestVictim$", "-test.v"}
	}
	os.Exit(m.Run())
}

// TestVictim waits to be killed; alone it does nothing.
func TestVictim(t *testing.T) {
	if os.Getenv(orphanVariable) == "" {
		t.Skip("is only run by TestNothingOutlivesAKilledTest")
	}
	shared := SharedPostgres(t)
	paused, r := Postgres(t, OnSmallDisk(150)), Redis(t)
	paused.Pause()
	dir, _ := base()
	fmt.Println("READY", dir, shared.server.PID(), paused.server.PID(), r.server.PID())
	time.Sleep(time.Minute)
}

func own(t *testing.T) {
	if os.Getenv("TEST_DATABASE_URL") != "" {
		t.Skip("SKIPPED, NOTHING IS SHOWN: TEST_DATABASE_URL names a server that this test cannot stop")
	}
}

func TestPostgresKeepsWhatWasCommitted(t *testing.T) {
	own(t)
	pg := Postgres(t)
	pg.Exec("CREATE TABLE kept (n int)")
	for i := range 5 {
		pg.Exec("INSERT INTO kept VALUES ($1)", i)
		if i%2 == 0 {
			pg.Kill()
		} else {
			pg.Stop()
		}
		if err := run(&pg.url, "SELECT 1"); err == nil {
			t.Fatal("a server that was ended answers")
		}
		pg.Start()
		if n := pg.Query("SELECT count(*) FROM kept"); n != fmt.Sprint(i+1) {
			t.Errorf("%s rows after %d commits", n, i+1)
		}
	}
	if pg.Query("SELECT current_setting('fsync')") != "on" || pg.Query("SELECT current_setting('max_connections')") != "200" {
		t.Error("it is not set up as it says")
	}
}

func TestPausedPostgresHangs(t *testing.T) {
	own(t)
	pg := Postgres(t, NoFsync)
	c, err := pgx.Connect(t.Context(), pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	pg.Pause()
	answered := make(chan error, 1)
	go func() { _, err := c.Exec(t.Context(), "SELECT 1"); answered <- err }()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := pgx.Connect(ctx, pg.URL()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a connection to a paused server: %v", err)
	}
	select {
	case err := <-answered:
		t.Errorf("a paused server answers: %v", err)
	default:
	}
	pg.Resume()
	if err := <-answered; err != nil {
		t.Errorf("what hung is not answered after Resume: %v", err)
	}
	pg.Pause()
	pg.Kill() // of what is stopped
	pg.Start()
	pg.Exec("SELECT 1")
}

func TestSharedPostgresGivesEachTestItsDatabase(t *testing.T) {
	a, b := SharedPostgres(t), SharedPostgres(t)
	a.Exec("CREATE TABLE mine ()")
	b.Exec("CREATE TABLE mine ()")
	another, err := url.Parse(a.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := run(another, "CREATE TABLE mine ()"); err != nil {
		t.Error(err)
	}
	var name string
	t.Run("test", func(t *testing.T) {
		pg := SharedPostgres(t)
		name = strings.TrimPrefix(pg.url.Path, "/")
		pg.Exec("SELECT 1")
	})
	if n := a.Query("SELECT count(*) FROM pg_database WHERE datname = $1", name); n != "0" {
		t.Errorf("the database of a test that is over is there")
	}
}

// With TEST_DATABASE_URL a test has its database in that server, and what would harm the server is skipped.
func TestServersFromOutsideAreUsedAndLeftAlone(t *testing.T) {
	own(t)
	outside := Postgres(t, NoFsync)
	t.Setenv("TEST_DATABASE_URL", outside.URL())
	skipped := func(name string, f func(t *testing.T)) (was bool) {
		t.Run(name, func(t *testing.T) { defer func() { was = t.Skipped() }(); f(t) })
		return was
	}
	if skipped("plain", func(t *testing.T) {
		for _, pg := range []*PostgresServer{Postgres(t), Postgres(t, NoFsync), SharedPostgres(t)} {
			pg.Exec("CREATE TABLE mine ()")
			if pg.url.Host != outside.url.Host || pg.url.Path == outside.url.Path {
				t.Errorf("the test works in %s", pg.url.Path)
			}
		}
	}) {
		t.Error("a test that harms nothing is skipped")
	}
	for name, f := range map[string]func(t *testing.T){
		"stops":    func(t *testing.T) { Postgres(t).Stop() },
		"pauses":   func(t *testing.T) { Postgres(t).Pause() },
		"fills":    func(t *testing.T) { Postgres(t, OnSmallDisk(100)) },
		"settings": func(t *testing.T) { Postgres(t, Set("wal_level", "logical")) },
	} {
		if !skipped(name, f) {
			t.Errorf("a test that %s is not skipped", name)
		}
	}
	if n := outside.Query("SELECT count(*) FROM pg_database WHERE datname LIKE 'sunspool_test_%'"); n != "0" {
		t.Errorf("%s databases are left behind", n)
	}
	r := Redis(t)
	t.Setenv("TEST_REDIS_URL", r.URL())
	if skipped("redis", func(t *testing.T) {
		if got := Redis(t).Addr(); got != r.Addr() {
			t.Errorf("redis at %s", got)
		}
	}) || !skipped("kills", func(t *testing.T) { Redis(t).Kill() }) || !skipped("password", func(t *testing.T) { Redis(t, Password("x")) }) {
		t.Error("TEST_REDIS_URL is not kept")
	}
}

// The disk fills up, rows are refused as such, and after it has room again nothing that was committed is missing.
func TestFullDiskIsFull(t *testing.T) {
	own(t)
	pg := Postgres(t, OnSmallDisk(150))
	pg.Exec("CREATE TABLE filled (n int, filler text)")
	pg.Exec("ALTER TABLE filled ALTER filler SET STORAGE external")
	pg.Full()
	stored := 0
	var err error
	for ; err == nil && stored < 1000; stored++ {
		err = run(&pg.url, "INSERT INTO filled VALUES ($1, repeat('x', 500000))", stored)
	}
	stored--
	if full, ok := errors.AsType[*pgconn.PgError](err); !ok || full.Code != "53100" && full.Code != "57P02" {
		t.Errorf("after %d rows: %v", stored, err)
	}
	pg.Free()
	pg.Exec("INSERT INTO filled VALUES (-1, '')")
	if n := pg.Query("SELECT count(*) FROM filled"); n != fmt.Sprint(stored+1) {
		t.Errorf("%s rows, %d were stored", n, stored+1)
	}
}

func TestRedisPausesAndComesBack(t *testing.T) {
	if os.Getenv("TEST_REDIS_URL") != "" {
		t.Skip("SKIPPED, NOTHING IS SHOWN: TEST_REDIS_URL names a server that this test cannot stop")
	}
	r := Redis(t, Password("s3cret"), MaxMemory(8<<20, "allkeys-lru"))
	if err := ping(r.Addr(), ""); err == nil {
		t.Error("it answers without its password")
	}
	r.Pause()
	if err := ping(r.Addr(), "s3cret"); err == nil {
		t.Error("a paused server answers")
	} else if n, ok := errors.AsType[net.Error](err); !ok || !n.Timeout() {
		t.Errorf("a paused server does not hang: %v", err)
	}
	r.Resume()
	Await(t, "it answers after Resume", func() bool { return ping(r.Addr(), "s3cret") == nil })
	r.Kill()
	if err := ping(r.Addr(), "s3cret"); err == nil {
		t.Error("a killed server answers")
	}
	r.Start()
	Await(t, "it answers after Start", func() bool { return ping(r.Addr(), "s3cret") == nil })
}

// kill -9 of a test leaves no process, no mount and no file, whatever its servers were doing.
func TestNothingOutlivesAKilledTest(t *testing.T) {
	own(t)
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), orphanVariable+"=1")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var dir string
	pids := make([]int, 3)
	for lines := bufio.NewScanner(out); dir == ""; {
		if !lines.Scan() {
			t.Fatalf("the victim says nothing: %v", lines.Err())
		}
		if _, after, ok := strings.Cut(lines.Text(), "READY "); ok {
			fmt.Sscan(after, &dir, &pids[0], &pids[1], &pids[2])
		}
	}
	var all []int
	for _, pid := range pids {
		all = append(all, (&process{cmd: &exec.Cmd{Process: &os.Process{Pid: pid}}}).family()...)
	}
	if len(all) < 10 || parent(pids[0]) != victim.Process.Pid {
		t.Fatalf("the victim has processes %v", all)
	}
	victim.Process.Kill()
	victim.Wait()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		var left []int
		for _, pid := range all {
			if parent(pid) != 0 {
				left = append(left, pid)
			}
		}
		_, err := os.Stat(dir)
		if len(left) == 0 && os.IsNotExist(err) {
			t.Logf("gone after %v", time.Since(began).Round(time.Millisecond))
			break
		}
		if time.Since(began) > Patience {
			names, _ := filepath.Glob(dir + "/*")
			t.Fatalf("left: processes %v, files %v", left, names)
		}
	}
	if mounts, err := os.ReadFile("/proc/mounts"); err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("its disk is still mounted (%v)", err)
	}
}
