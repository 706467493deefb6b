//go:build unix

package testservices

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// PgBouncerServer is a PgBouncer between a test and its PostgreSQL.
type PgBouncerServer struct {
	server *process
	host   string
}

// PgBouncer starts one before all databases of a server, with settings of pgbouncer.ini such as "pool_mode = transaction".
// What is not set is as Debian ships it.
func PgBouncer(t testing.TB, pg *PostgresServer, settings ...string) *PgBouncerServer {
	t.Helper()
	program := need(t, "pgbouncer", func() (string, bool) {
		if path, ok := inPath("pgbouncer")(); ok {
			return path, true
		}
		_, err := os.Stat("/usr/sbin/pgbouncer")
		return "/usr/sbin/pgbouncer", err == nil
	})
	b := &PgBouncerServer{}
	for range 3 { // somebody may take the port between the choice and the start
		port := FreePort(t)
		dir := newDir(t, "pgbouncer")
		ini := filepath.Join(dir, "pgbouncer.ini")
		text := fmt.Sprintf("[databases]\n* = host=%s port=%s user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nauth_type = any\nunix_socket_dir =\n%s\n",
			pg.url.Hostname(), pg.url.Port(), pg.url.User.Username(), port, strings.Join(settings, "\n"))
		if err := os.WriteFile(ini, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		b.host = fmt.Sprint("127.0.0.1:", port)
		b.server = &process{
			t: t, name: "pgbouncer", argv: []string{program, ini}, dir: dir, user: postgresUser(t), // it refuses root
			quit: syscall.SIGINT, last: syscall.SIGKILL,
			answers: func() error {
				c, err := net.DialTimeout("tcp", b.host, Patience)
				if err == nil {
					c.Close()
				}
				return err
			},
		}
		err := b.server.start()
		if err == nil {
			t.Cleanup(b.server.end)
			return b
		}
		if tail := b.server.tail(); !strings.Contains(tail, "in use") {
			t.Fatalf("%v\n%s", err, tail)
		}
	}
	t.Fatal("three free ports in a row were taken by somebody else")
	return nil
}

// URL returns that of a database of the server, through PgBouncer.
func (b *PgBouncerServer) URL(database string) string {
	b.server.t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		b.server.t.Fatal("the database's URL is none")
	}
	u.Host = b.host
	return u.String()
}

// Stop ends PgBouncer in good order; Start starts it again.
func (b *PgBouncerServer) Stop() { b.server.t.Helper(); b.server.Stop() }

// Start starts it again where it was before.
func (b *PgBouncerServer) Start() { b.server.t.Helper(); b.server.Start() }
