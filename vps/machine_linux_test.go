package vps

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"sunspool/wire"
)

// Who is another user of the machine gets no answer at the operator's socket, whatever its mode is and whatever is asked; with
// the same question the server's own user gets one.
func TestOtherUsersAreNoOperators(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can be another user")
	}
	dir, err := os.MkdirTemp("/tmp", "sunspool-vps-") // t.TempDir is in a directory that others cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := start(t, Config{DataDir: dir, DeviceTokens: "t1-0123456789abcdef:inv-1"})
	path := filepath.Join(dir, socketFile)
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct{ method, path, body string }{
		{"GET", wire.TokensPath, ""}, {"POST", wire.TokensPath, `{"role":"viewer","name":"New","devices":["*"]}`}, {"DELETE", wire.TokensPath + "/x", ""},
		{"GET", wire.SitesPath, ""}, {"PUT", wire.SitesPath + "/home", `{"devices":["inv-1"]}`}, {"DELETE", wire.SitesPath + "/home", ""}, {"GET", wire.BackupPath, ""},
	} {
		if code, err := operatorAs(65534, path, q.method, q.path, q.body); err == nil || code < 0 {
			t.Errorf("another user who asks %s %s: %d, %v", q.method, q.path, code, err)
		}
		if q.method == "GET" {
			if code, err := operatorAs(0, path, q.method, q.path, q.body); err != nil || code != 200 {
				t.Errorf("root who asks %s: %d, %v", q.path, code, err)
			}
		}
	}
	if list := listTokens(t, dir, false); !strings.Contains(list, "no token was made") {
		t.Errorf("the tokens are %s", list)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// operatorAs asks at a socket as a user, who is that of one thread, which ends with it.
func operatorAs(uid int, socket, method, path, body string) (code int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
			err = e
			return
		}
		var conn net.Conn
		if conn, err = net.Dial("unix", socket); err != nil {
			code = -1 // it is not the server that refuses
			return
		}
		defer conn.Close()
		q, _ := http.NewRequest(method, "http://vps"+path, strings.NewReader(body))
		if err = q.Write(conn); err != nil {
			return
		}
		var answer *http.Response
		if answer, err = http.ReadResponse(bufio.NewReader(conn), q); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			code = answer.StatusCode
		}
	}()
	<-done
	return code, err
}
