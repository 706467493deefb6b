//go:build unix

package testservices

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresServer is a PostgreSQL server and one database in it. Start, Stop, Kill, Pause and Resume are for one
// goroutine at a time.
type PostgresServer struct {
	t      testing.TB
	server *process // nil for one that was there before us
	url    url.URL  // of the database
	shared bool     // other tests use the server too
	setUp  []func(t testing.TB, database url.URL)
	tidyUp []func(t testing.TB, database url.URL)
	disk   *smallDisk
}

// PostgresOption changes how Postgres starts its server.
type PostgresOption func(*postgresOptions)

type postgresOptions struct {
	settings []string
	diskMiB  int
}

// NoFsync is for tests of which a crash of the machine is no part: it spares most of the time of small commits.
func NoFsync(o *postgresOptions) { o.settings = append(o.settings, "fsync=off") }

// Set gives the server a setting of postgresql.conf, such as shared_preload_libraries.
func Set(name, value string) PostgresOption {
	return func(o *postgresOptions) { o.settings = append(o.settings, name+"="+value) }
}

// OnSmallDisk puts the server on a disk of its own, which Full fills. An empty server takes 60 MiB. Only root can
// mount it, so the test is skipped for others.
func OnSmallDisk(mib int) PostgresOption {
	return func(o *postgresOptions) {
		o.diskMiB = mib
		o.settings = append(o.settings, "min_wal_size=32MB", "max_wal_size=48MB") // else the disk is full of old log
	}
}

// Postgres starts a server of the test's own, durable as in real life unless NoFsync, and returns an empty database.
// With TEST_DATABASE_URL the database is made in that server, and dropped with the test.
func Postgres(t testing.TB, options ...PostgresOption) *PostgresServer {
	t.Helper()
	if outside := os.Getenv("TEST_DATABASE_URL"); outside != "" {
		if len(options) > 0 {
			// NoFsync asks for nothing that a test could miss; a small disk and a setting do.
			var o postgresOptions
			for _, option := range options {
				option(&o)
			}
			if o.diskMiB > 0 || !slices.Equal(o.settings, []string{"fsync=off"}) {
				skip(t, "TEST_DATABASE_URL names a server that this test cannot set up as it needs")
			}
		}
		return outsidePostgres(t, outside)
	}
	pg := startPostgres(t, options...)
	t.Cleanup(pg.end)
	return pg
}

var sharedPostgres struct {
	once sync.Once
	*PostgresServer
}

// SharedPostgres returns an empty database of the test's own in a server that all tests of this binary use. The server
// is started at the first call and ends with the binary; it does not fsync. It cannot be stopped, paused or filled.
func SharedPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	if outside := os.Getenv("TEST_DATABASE_URL"); outside != "" {
		return outsidePostgres(t, outside)
	}
	postgresBin(t)
	sharedPostgres.once.Do(func() {
		// Its parent is the binary, not the test that happens to be the first: no cleanup belongs to it.
		sharedPostgres.PostgresServer = startPostgres(binaryTB{t}, NoFsync)
	})
	if sharedPostgres.PostgresServer == nil {
		t.Fatal("the shared PostgreSQL did not start for an earlier test")
	}
	return sharedPostgres.With(t)
}

// binaryTB is a test whose cleanups never run: what it owns ends with the process, by the kernel and the guard.
type binaryTB struct{ testing.TB }

func (binaryTB) Cleanup(func()) {}

func outsidePostgres(t testing.TB, raw string) *PostgresServer {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL is not a URL") // the error would show its password
	}
	pg := &PostgresServer{t: t, url: *u}
	pg.url = pg.newDatabase(t)
	return pg
}

// URL is that of the database, for DATABASE_URL.
func (pg *PostgresServer) URL() string { return pg.url.String() }

// With returns the same server with an empty database of its own for another test.
func (pg *PostgresServer) With(t testing.TB) *PostgresServer {
	t.Helper()
	other := *pg
	other.t, other.shared = t, true
	other.url = pg.newDatabase(t)
	return &other
}

// NewDatabase makes one more empty database in the server, drops it with the test, and returns its URL.
func (pg *PostgresServer) NewDatabase(t testing.TB) string {
	t.Helper()
	u := pg.newDatabase(t)
	return u.String()
}

func (pg *PostgresServer) newDatabase(t testing.TB) url.URL {
	t.Helper()
	name := "sunspool_test_" + strings.ToLower(rand.Text()[:12])
	if err := run(&pg.url, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("make a database for the test: %v", err)
	}
	server := pg.url
	u := pg.url
	u.Path = "/" + name
	t.Cleanup(func() {
		// A server that the test left dead takes its databases with it.
		if pg.server == nil || pg.server.running() {
			pg.Resume()
			if err := run(&server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
				t.Logf("the test's database is left behind: %v", err)
			}
			for _, f := range pg.tidyUp {
				f(t, u)
			}
		}
	})
	for _, f := range pg.setUp {
		f(t, u)
	}
	return u
}

// Exec runs sql in the database and ends the test if that fails.
func (pg *PostgresServer) Exec(sql string, args ...any) {
	pg.t.Helper()
	if err := run(&pg.url, sql, args...); err != nil {
		pg.t.Fatalf("%s: %v", sql, err)
	}
}

// Query returns the first column of the first row of sql as text, and ends the test if there is none.
func (pg *PostgresServer) Query(sql string, args ...any) (text string) {
	pg.t.Helper()
	err := connected(&pg.url, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT ("+sql+")::text", args...).Scan(&text)
	})
	if err != nil {
		pg.t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// Start starts a server that was stopped or killed, on the same port and data.
func (pg *PostgresServer) Start() { pg.t.Helper(); pg.own().Start() }

// Stop ends the server in good order ("fast": sessions are cut, the log is flushed).
func (pg *PostgresServer) Stop() { pg.t.Helper(); pg.own().Stop() }

// Kill ends the server with -9: the next start recovers from its log.
func (pg *PostgresServer) Kill() { pg.t.Helper(); pg.own().Kill() }

// Pause stops every process of the server, so that connections and queries hang, until Resume.
func (pg *PostgresServer) Pause() { pg.t.Helper(); pg.own().Pause() }

// Resume ends a Pause.
func (pg *PostgresServer) Resume() {
	if pg.server != nil && !pg.shared {
		pg.server.Resume()
	}
}

// Full fills the disk: commits fail with 53100 once what the server had reserved is used up, and after that it may
// panic and end, as on a real disk. The server must be OnSmallDisk.
func (pg *PostgresServer) Full() { pg.t.Helper(); pg.small().fill(pg.t) }

// Free gives back what Full took and returns when the server answers. One that panicked on the full disk is started again,
// also where it only ends after the disk has space: it may still be trying to recover.
func (pg *PostgresServer) Free() {
	pg.t.Helper()
	pg.small().free()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if !pg.Running() {
			pg.Start()
		}
		err := run(&pg.url, "SELECT 1")
		if err == nil {
			return
		}
		if time.Since(began) > Patience {
			pg.t.Errorf("PostgreSQL does not answer though its disk has space again: %v", err)
			return
		}
	}
}

// Running reports whether the server's process is there: one that panicked is not.
func (pg *PostgresServer) Running() bool { return pg.own().running() }

// Program is the path of another program of the server's version, such as pg_dump.
func (pg *PostgresServer) Program(name string) string {
	pg.t.Helper()
	return filepath.Join(postgresBin(pg.t), name)
}

// Data is the server's data directory.
func (pg *PostgresServer) Data() string { return pg.own().dir }

func (pg *PostgresServer) small() *smallDisk {
	pg.t.Helper()
	pg.own()
	if pg.disk == nil {
		pg.t.Fatal("the disk of this server is not its own: start it with OnSmallDisk")
	}
	return pg.disk
}

// own is the server's process, if it is the test's to stop.
func (pg *PostgresServer) own() *process {
	pg.t.Helper()
	if pg.shared {
		pg.t.Fatal("the shared server is not this test's to stop: use Postgres")
	}
	if pg.server == nil {
		skip(pg.t, "TEST_DATABASE_URL names a server that this test cannot stop")
	}
	return pg.server
}

// end stops the server with the test. One that the test left killed has its key to the shared memory still taken.
func (pg *PostgresServer) end() {
	if pg.disk != nil {
		pg.disk.free()
	}
	pg.server.end()
	if pid, err := os.ReadFile(filepath.Join(pg.server.dir, "postmaster.pid")); err == nil {
		if line := strings.Split(string(pid), "\n"); len(line) > 6 {
			if field := strings.Fields(line[6]); len(field) == 2 {
				exec.Command("ipcrm", "-m", field[1]).Run()
			}
		}
	}
}

func startPostgres(t testing.TB, options ...PostgresOption) *PostgresServer {
	t.Helper()
	var o postgresOptions
	for _, option := range options {
		option(&o)
	}
	template := dataTemplate(t)
	dir := newDir(t, "postgres")
	pg := &PostgresServer{t: t}
	if o.diskMiB > 0 {
		pg.disk = mountSmallDisk(t, filepath.Join(dir, "disk"), o.diskMiB)
		dir = pg.disk.dir
	}
	data := filepath.Join(dir, "data")
	if out, err := exec.Command("cp", "-a", template, data).CombinedOutput(); err != nil {
		t.Fatalf("copy the data directory: %v: %s", err, out)
	}
	for range 3 { // somebody may take the port between the choice and the start
		port := FreePort(t)
		pg.url = url.URL{Scheme: "postgres", User: url.User("sunspool"), Host: fmt.Sprint("127.0.0.1:", port), Path: "/postgres", RawQuery: "sslmode=disable"}
		pg.server = newPostgresProcess(t, data, port, o.settings, func() error { return run(&pg.url, "SELECT 1") })
		err := pg.server.start()
		if err == nil {
			return pg
		}
		if tail := pg.server.tail(); !strings.Contains(tail, "already in use") {
			t.Fatalf("%v\n%s", err, tail)
		}
	}
	t.Fatal("three free ports in a row were taken by somebody else")
	return nil
}

func newPostgresProcess(t testing.TB, data string, port int, settings []string, answers func() error) *process {
	argv := []string{filepath.Join(postgresBin(t), "postgres"), "-D", data}
	for _, setting := range append([]string{
		"port=" + strconv.Itoa(port), "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200",
		// Its shared memory is in files of the data directory: what is killed leaves nothing on the machine.
		"dynamic_shared_memory_type=mmap", "timezone=UTC", "log_timezone=UTC",
	}, settings...) {
		argv = append(argv, "-c", setting)
	}
	return &process{
		t: t, name: "postgres", argv: argv, dir: data, user: postgresUser(t), answers: answers,
		quit: syscall.SIGINT,
		last: syscall.SIGQUIT, // "immediate": it ends at once, with its children and its shared memory
	}
}
