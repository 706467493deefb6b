//go:build unix

// Package testservices starts the real services that tests need, from the binaries of the machine, on free ports of the
// loopback, and ends them with the test. It is for tests and benchmarks: nothing that ships imports it.
//
//	pg := testservices.SharedPostgres(t)   one server for all tests of a binary, a database for each
//	pg := testservices.Postgres(t)         a server of the test's own, to pause, kill and fill
//	r  := testservices.Redis(t)
//	c  := testservices.Caddy(t, "../Caddyfile", "SITE_ADDRESS=localhost:8443")
//	p  := testservices.Program(t, "vps", argv, env, answers)   any other program, ended like the services
//
// TEST_DATABASE_URL and TEST_REDIS_URL use servers that run already; a test that has to stop its server is then skipped.
// A binary that is missing is installed with apt-get where that is possible, else the test is skipped with one loud line.
//
// Nothing outlives the test binary, even if that is killed with -9: the kernel ends the servers when their parent dies,
// and a shell (see guard) that waits for the same death ends what was left stopped and removes the files.
package testservices

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// skip ends the test by one line that cannot be taken for a success.
func skip(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Skipf("SKIPPED, NOTHING IS SHOWN: "+format, args...)
}

// base is the folder of everything that this test binary starts. Other users can pass it: Postgres is one.
var base = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sunspool-services-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return dir, guard(dir)
})

// guard starts a shell that sleeps until this process is no more, however it ended: reading the pipe returns when its
// last writer dies. Then it wakes what was stopped, so that it can end as its parent's death told it to, kills what is
// still there (a process of ours has its current directory in dir), and removes dir with what is mounted in it.
func guard(dir string) error {
	const script = `cat >/dev/null
ours() { for p in /proc/[0-9]*; do case $(readlink "$p/cwd") in "$1"/*) echo "${p#/proc/}";; esac; done; }
for signal in CONT KILL; do
	for i in 1 2 3 4 5 6 7 8 9 10; do
		pids=$(ours "$1")
		[ -z "$pids" ] && break 2
		kill -$signal $pids
		sleep 0.2
	done
done
for m in "$1"/*/disk; do [ -d "$m" ] && umount -l "$m"; done
rm -rf "$1"`
	sh := exec.Command("sh", "-c", script, "guard", dir)
	sh.Dir = "/"
	sh.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a ^C is for the tests
	if _, err := sh.StdinPipe(); err != nil {
		return err
	}
	if err := sh.Start(); err != nil {
		return fmt.Errorf("start the shell that tidies up: %w", err)
	}
	go sh.Wait() // indefinitely, and holds this process's end of the pipe as long
	return nil
}

// Dir returns a new folder that is removed with the test, or by the guard, who ends what has its current directory there.
func Dir(t testing.TB, name string) string {
	t.Helper()
	return newDir(t, name)
}

// newDir returns a new folder in base that is removed with the test.
func newDir(t testing.TB, name string) string {
	t.Helper()
	dir, err := base()
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = os.MkdirTemp(dir, name+"-"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// FreePort returns a port of the loopback on which nothing listens. It is below those that the kernel gives to
// connections, so a server that is killed finds it free when it starts again. Until the test ends no other test gets it, of
// this process or another.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.N(12000)
		release, ours := reserve(port)
		if !ours {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			t.Cleanup(release)
			return port
		}
		release()
	}
	t.Fatal("no free port between 20000 and 32000 on 127.0.0.1")
	return 0
}

var reserved sync.Map // what holds each port: it would be closed if nothing referred to it

// reserve takes a port for this process until it is released or the process dies. On Linux an abstract socket stands for it, which
// no other process can have then and which leaves no file.
func reserve(port int) (release func(), ours bool) {
	forget := func() { reserved.Delete(port) }
	if _, taken := reserved.LoadOrStore(port, nil); taken {
		return nil, false
	}
	if runtime.GOOS != "linux" {
		return forget, true
	}
	l, err := net.Listen("unix", fmt.Sprint("@sunspool-test-port-", port))
	if err != nil {
		forget()
		return nil, false
	}
	reserved.Store(port, l)
	return func() { l.Close(); forget() }, true
}

// absolute is path from the test's folder, for a process that runs in another.
func absolute(t testing.TB, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
