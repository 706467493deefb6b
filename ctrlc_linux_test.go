package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/testhost"
	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
)

// interruptedBy starts the program, waits until its output has ready, sends it signals, and returns its exit status.
func interruptedBy(t *testing.T, dir string, env []string, ready string, between func(), args ...string) int {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(testprogram.Path(t), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append([]string{"HOME=" + dir, "LANG=C.UTF-8"}, env...), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill() })
	said := func() string { text, _ := os.ReadFile(out.Name()); return string(text) }
	for deadline := time.Now().Add(testservices.Patience); !regexp.MustCompile(ready).MatchString(said()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("sunspool %s is not ready:\n%s", args[0], said())
		}
	}
	if between != nil {
		between()
	}
	cmd.Process.Signal(os.Interrupt)
	again := make(<-chan time.Time) // never
	if between != nil {             // what is under way keeps it from ending, until it is told again
		select {
		case <-ended:
			t.Errorf("sunspool %s ended at once, and should have waited for what is under way:\n%s", args[0], said())
		case <-time.After(300 * time.Millisecond):
		}
		often := time.NewTicker(100 * time.Millisecond) // a signal that comes while one is pending is lost
		defer often.Stop()
		again = often.C
	}
	for patience := time.After(testservices.Patience); ; {
		select {
		case <-ended:
			return cmd.ProcessState.ExitCode()
		case <-again:
			cmd.Process.Signal(os.Interrupt)
		case <-patience:
			t.Errorf("sunspool %s does not end:\n%s", args[0], said())
			cmd.Process.Signal(syscall.SIGQUIT)
			patience = nil
		}
	}
}

// Ctrl-C once is a good end: of a service 0, of a question that has no answer yet 130.
func TestCtrlCOnceIsGraceful(t *testing.T) {
	for _, c := range []struct {
		ready string
		exit  int
		args  string
	}{
		{"Open http", 0, "demo --days=1 --listen=127.0.0.1:0"},
		{"vps started", 0, "vps --listen=127.0.0.1:0 --internal="},
		{"simulated SH10RT", 0, "simulate --listen=127.0.0.1:0"},
		{"edge started", 0, "edge --sungrow-host=127.0.0.1 --sungrow-port=1 --vps-base-url=https://127.0.0.1:1"},
		{"silent|no edge", 0, "status --watch --json"},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			env := []string{"DATA_DIR=" + dir + "/vps", "DEVICE_TOKENS=0123456789abcdef0123456789abcdef:roof", "VPS_DEVICE_TOKEN=0123456789abcdef", "SPOOL_PATH=" + dir + "/spool.db"}
			if exit := interruptedBy(t, dir, env, c.ready, nil, strings.Fields(c.args)...); exit != c.exit {
				text, _ := os.ReadFile(filepath.Join(dir, "out"))
				t.Errorf("sunspool %s exits %d, want %d:\n%s", c.args, exit, c.exit, text)
			}
		})
	}
	t.Run("probe", func(t *testing.T) {
		t.Parallel()
		accepted := make(chan struct{}, 10)
		silent := silentHost(t, accepted)
		dir := shortDir(t)
		done := make(chan int)
		go func() {
			cmd := exec.Command(testprogram.Path(t), "probe", silent)
			cmd.Dir = dir
			cmd.Start()
			<-accepted
			cmd.Process.Signal(os.Interrupt)
			cmd.Wait()
			done <- cmd.ProcessState.ExitCode()
		}()
		if exit := <-done; exit != health.ExitInterrupted {
			t.Errorf("a probe that is interrupted exits %d", exit)
		}
	})
}

// silentHost takes connections and answers nothing.
func silentHost(t *testing.T, accepted chan<- struct{}) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			accepted <- struct{}{}
		}
	}()
	return listener.Addr().String()
}

// Twice ends at once what waits for something: here a server whose client has begun an upload and does not go on.
func TestCtrlCTwiceIsAtOnce(t *testing.T) {
	dir := shortDir(t)
	env := []string{"DATA_DIR=" + dir + "/vps", "DEVICE_TOKENS=0123456789abcdef0123456789abcdef:roof", "LISTEN_ADDR=127.0.0.1:0", "INTERNAL_ADDR="}
	begin := func() {
		text, _ := os.ReadFile(filepath.Join(dir, "out"))
		address := regexp.MustCompile(`"listen":"([^"]+)"`).FindSubmatch(text)
		conn, err := net.Dial("tcp", string(address[1]))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprint(conn, "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n")
		conn.Read(make([]byte, 1)) // the handler reads
	}
	if exit := interruptedBy(t, dir, env, "vps started", begin, "vps"); exit != health.ExitInterrupted {
		t.Errorf("it exits %d", exit)
	}
}

// At a question, too: nothing was changed until then.
func TestCtrlCEndsAQuestion(t *testing.T) {
	dir := shortDir(t)
	screen, tty := testhost.Terminal(t, 80)
	cmd := exec.Command(testprogram.Path(t), "setup", "--print")
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "LANG=C.UTF-8"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	var seen strings.Builder
	for b := make([]byte, 1024); !strings.Contains(seen.String(), "This machine is"); {
		n, err := screen.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(b[:n])
	}
	screen.WriteString("\x03")
	go io.Copy(io.Discard, screen)
	if cmd.Wait(); cmd.ProcessState.ExitCode() != health.ExitInterrupted {
		t.Errorf("setup exits %d", cmd.ProcessState.ExitCode())
	}
}
