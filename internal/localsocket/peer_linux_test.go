package localsocket

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

const nobody = 65534

// Another user is refused also where the socket's mode and its directory let everybody in; root and the own user are not.
func TestOtherUsersAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can be another user")
	}
	dir, err := os.MkdirTemp("/tmp", "sunspool-socket-") // t.TempDir is in a directory that others cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x.sock")
	l, err := Listen(path, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	l = OwnUser(l)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "welcome")
			c.Close()
		}
	}()
	if got := askAs(t, path, 0); got != "welcome" {
		t.Errorf("root gets %q", got)
	}
	if got := askAs(t, path, nobody); got != "" {
		t.Errorf("nobody gets %q", got)
	}
}

// askAs reads what a user gets at path. The user is that of one thread, which ends with it.
func askAs(t *testing.T, path string, uid int) string {
	t.Helper()
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
			done <- answer{err: e}
			return
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			done <- answer{err: err}
			return
		}
		defer c.Close()
		text, err := io.ReadAll(c)
		done <- answer{string(text), err}
	}()
	a := <-done
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.text
}
