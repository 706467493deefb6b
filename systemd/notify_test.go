//go:build unix

package systemd

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// manager is the receiving end of the messages of a service.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t, conn}
}

// heard returns the next message, "" if none comes within d.
func (m *manager) heard(d time.Duration) string {
	m.t.Helper()
	b := make([]byte, 4096)
	m.conn.SetReadDeadline(time.Now().Add(d))
	n, err := m.conn.Read(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// left returns the messages that have come and were not read yet. It waits for none.
func (m *manager) left() (all []string) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Time{})
	raw, err := m.conn.SyscallConn()
	if err != nil {
		m.t.Fatal(err)
	}
	b := make([]byte, 4096)
	for {
		n := 0
		if err := raw.Read(func(fd uintptr) bool { n, err = syscall.Read(int(fd), b); return true }); err != nil {
			m.t.Fatal(err)
		}
		if err != nil {
			return all
		}
		all = append(all, string(b[:n]))
	}
}

func TestManagerIsToldInItsWords(t *testing.T) {
	m := newManager(t)
	for want, say := range map[string]func(){
		"READY=1":                      Ready,
		"STOPPING=1":                   Stopping,
		"STATUS=ok; 3 waiting":         func() { Status("ok; 3 waiting\nand a second line") },
		"EXTEND_TIMEOUT_USEC=90000000": func() { Extend(90 * time.Second) },
	} {
		say()
		if got := m.heard(time.Minute); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
}

func TestWatchdogIsFedOnlyWhileEveryLoopIsAlive(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "60000")
	ctx, cancel := context.WithCancel(t.Context())
	var dead atomic.Bool
	asked := make(chan bool) // whether a loop is dead, and it is
	var log bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, func() (string, time.Duration) {
			if !dead.Load() {
				return "", 0
			}
			select {
			case asked <- true:
			case <-ctx.Done():
			}
			return "deliver", time.Second
		}, slog.New(slog.NewJSONHandler(&log, nil)))
	}()
	for range 3 {
		if got := m.heard(time.Minute); got != "WATCHDOG=1" {
			t.Fatalf("heard %q while all is well", got)
		}
	}
	dead.Store(true)
	<-asked
	m.left() // what was sent before
	for range 4 {
		<-asked
	}
	if got := m.left(); len(got) > 0 {
		t.Errorf("heard %q although a loop stands still", got)
	}
	cancel()
	<-done
	if n := strings.Count(log.String(), `"loop":"deliver"`); n != 1 {
		t.Errorf("the log names the loop %d times, want once:\n%s", n, log.String())
	}
}

func TestManagerIsToldThatTheServiceStopsAndWatchesUntilTheEnd(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "60000")
	ctx, cancel := context.WithCancel(t.Context())
	end := Notify(ctx, func() (string, time.Duration) { return "", 0 }, slog.Default())
	if got := m.heard(time.Minute); got != "WATCHDOG=1" {
		t.Fatalf("heard %q at work", got)
	}
	cancel()
	for got := ""; got != "STOPPING=1"; {
		if got = m.heard(time.Minute); got == "" {
			t.Fatal("heard nothing of its end")
		}
	}
	for range 3 { // what is in flight is still being answered
		if got := m.heard(time.Minute); got != "WATCHDOG=1" {
			t.Errorf("heard %q while it stops", got)
		}
	}
	end()
	for _, got := range m.left() {
		if got != "WATCHDOG=1" {
			t.Errorf("heard %q while it stops", got)
		}
	}
	if got := m.heard(200 * time.Millisecond); got != "" {
		t.Errorf("heard %q after the end", got)
	}
}

func TestWithoutAManagerNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	Ready()
	Status("x")
	Watch(t.Context(), func() (string, time.Duration) { return "", 0 }, slog.Default()) // returns
}
