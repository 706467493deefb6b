package testservices

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Timescale starts Debian 13's PostgreSQL 17 with TimescaleDB, the Apache edition, in a Debian of its own; each database
// has the extension. That takes root.
func Timescale(t testing.TB) *PostgresServer {
	t.Helper()
	below := Debian(t, "apt", "trixie", "postgresql-17", "postgresql-17-timescaledb")
	dir := newDir(t, "timescale")
	disk := filepath.Join(dir, "disk") // which the guard unmounts, too
	for _, name := range []string{"disk", "up", "work"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/up,workdir=%s/work", below, dir, dir)
	if err := syscall.Mount("overlay", disk, "overlay", 0, options); err != nil {
		skip(t, "no overlay can be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	const bin, data = "/usr/lib/postgresql/17/bin/", "/var/lib/postgresql/data"
	inside := func(program string, args ...string) []string {
		return append([]string{"chroot", "--userspec=postgres:postgres", disk, bin + program}, args...)
	}
	initdb := inside("initdb", "-D", data, "-U", "sunspool", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := exec.Command(initdb[0], initdb[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("make a PostgreSQL data directory: %v: %s", err, out)
	}
	port := FreePort(t)
	pg := &PostgresServer{t: t}
	pg.url = url.URL{Scheme: "postgres", User: url.User("sunspool"), Host: fmt.Sprint("127.0.0.1:", port), Path: "/postgres", RawQuery: "sslmode=disable"}
	pg.server = &process{
		t: t, name: "timescale", dir: filepath.Join(disk, data), quit: syscall.SIGINT, last: syscall.SIGQUIT,
		argv: inside("postgres", "-D", data, "-c", "port="+strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			"-c", "dynamic_shared_memory_type=mmap", "-c", "fsync=off", "-c", "timezone=UTC", "-c", "max_connections=200", "-c", "max_locks_per_transaction=256",
			"-c", "shared_preload_libraries=timescaledb", "-c", "timescaledb.telemetry_level=off"),
		answers: func() error { return run(&pg.url, "SELECT 1") },
	}
	if err := pg.server.start(); err != nil {
		t.Fatalf("%v\n%s", err, pg.server.tail())
	}
	t.Cleanup(pg.server.end)
	pg.setUp = append(pg.setUp, func(t testing.TB, database url.URL) {
		must(t, database, "CREATE EXTENSION timescaledb")
	})
	return pg
}
