package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/testhost"
	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
)

// place is where the program is typed, and who reads what it prints.
type place struct {
	name     string
	terminal bool
	results  bool // who reads gets standard output alone
	columns  int  // of the terminal, 80 if none
	env      []string
	as       *syscall.SysProcAttr // another user, another network
}

var (
	onTerminal = place{name: "tty", terminal: true, env: []string{"LANG=C.UTF-8"}}
	inPipe     = place{name: "pipe", env: []string{"LANG=C.UTF-8"}}
	withoutUTF = place{name: "c", terminal: true, env: []string{"LANG=C.UTF-8", "LC_ALL=C"}} // LC_ALL is the one that counts
	byProgram  = place{name: "program", results: true}
	places     = []place{inPipe, onTerminal, withoutUTF}
)

// typed is the program, started as a person does, in a directory of its own and with nothing of the environment but what is
// given. It returns all that a reader sees, and the exit status; a program that a signal ended has -1.
func (p place) typed(t *testing.T, dir string, env []string, args ...string) (text string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testservices.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, testprogram.Path(t), args...)
	cmd.Dir = dir
	cmd.Env = append(append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "TERM=xterm", "NO_COLOR=1"}, p.env...), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if p.as != nil {
		*cmd.SysProcAttr = *p.as
		if p.as.Credential != nil { // who does not see the cache of the tests
			cmd.Path = filepath.Join(dir, "sunspool")
			program, err := os.ReadFile(testprogram.Path(t))
			if err := errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
				t.Fatal(err)
			}
			testhost.WriteProgram(t, cmd.Path, program, 0o755)
		}
	}
	var seen bytes.Buffer
	if !p.terminal {
		cmd.Stdout, cmd.Stderr = &seen, &seen
		if p.results {
			cmd.Stderr = nil
		}
		return ended(t, cmd.Run, &seen)
	}
	screen, tty := testhost.Terminal(t, cmp.Or(p.columns, 80))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(&seen, screen) // until nobody has the terminal open
	}()
	_, exit = ended(t, cmd.Run, &seen)
	tty.Close()
	<-read
	text = strings.ReplaceAll(seen.String(), "\r\n", "\n")
	return redrawn.ReplaceAllString(text, ""), exit
}

// redrawn is what was on a line before it was drawn again.
var redrawn = regexp.MustCompile(`[^\n]*\r\x1b\[K`)

func ended(t *testing.T, run func() error, seen *bytes.Buffer) (text string, exit int) {
	t.Helper()
	err := run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return seen.String(), ended.ExitCode()
	}
	if err != nil && !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	return seen.String(), 0
}

// A terminal that cannot write over a line is sent nothing that does.
func TestDumbTerminalsAreNotDrawnOn(t *testing.T) {
	_, tty := testhost.Terminal(t, 80)
	for name, want := range map[string]bool{"xterm": true, "": true, "dumb": false} {
		t.Setenv("TERM", name)
		if got := redraws(tty); got != want {
			t.Errorf("TERM=%s: %v", name, got)
		}
	}
}

// On a telephone lines are as long as its screen is wide, but for commands, which are pasted.
func TestNarrowTerminalsBreakLines(t *testing.T) {
	t.Parallel()
	const columns = 46
	dir := t.TempDir()
	for _, args := range [][]string{{"doctor"}, {"check", "vps", "--online"}} {
		text, _ := place{terminal: true, columns: columns, env: onTerminal.env}.typed(t, dir, []string{"DATA_DIR=" + dir, "DEVICE_TOKENS=0123456789abcdef:roof", "TLS_SELF=1"}, args...)
		folded := 0
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(line, "      ") {
				folded++
			}
			signs := []rune(line)
			if n := len(signs); n > columns && strings.Contains(strings.TrimSpace(string(signs[16:])), " ") && !strings.Contains(line, "next: ") { // not one long word
				t.Errorf("%d columns: %s", n, line)
			}
		}
		if folded == 0 {
			t.Errorf("no line is broken:\n%s", text)
		}
	}
}

// Marks and QR codes have colours on a terminal, unless who reads wants none, and in a pipe if who reads wants some.
func TestColoursAreForWhoWantsThem(t *testing.T) {
	dir := shortDir(t)
	full := []string{"NO_COLOR=", "HEALTH_PATH=" + writeHealth(t, edgeThat(time.Now(), nil)), "DATA_DIR=" + dir, "VIEWER_TOKENS=family-0123456789abcdef:*", "DEVICE_TOKENS=edge-0123456789abcdef:roof"}
	for _, line := range []string{"status", "vps link https://solar.example.org"} {
		for _, c := range []struct {
			at       place
			more     string
			env      string
			coloured bool
		}{
			{onTerminal, "", "", true}, {onTerminal, "--color=auto", "", true}, {onTerminal, "--color=never", "", false}, {onTerminal, "", "NO_COLOR=1", false}, {inPipe, "", "", false},
		} {
			text, exit := c.at.typed(t, dir, append(slices.Clone(full), c.env), append(strings.Fields(line), strings.Fields(c.more)...)...)
			if exit != 0 || strings.Contains(text, "\x1b[") != c.coloured {
				t.Errorf("%s %s %s: exits %d\n%q", line, c.more, c.env, exit, text)
			}
		}
	}
	if text, _ := onTerminal.typed(t, dir, append(full, "TERM=dumb"), "status"); strings.Contains(text, "\x1b[") {
		t.Errorf("a terminal that cannot: %q", text)
	}
	if text, exit := inPipe.typed(t, dir, full, "status", "--color=always"); exit != 0 || !strings.Contains(text, "\x1b[32m✓\x1b[0m") && !strings.Contains(text, "\x1b[32m[ok]\x1b[0m") {
		t.Errorf("exits %d\n%q", exit, text)
	}
}

// With --no-input nothing is asked of a person who is there.
func TestNothingIsAskedWithoutInput(t *testing.T) {
	dir := shortDir(t)
	for line, want := range map[string]string{"setup --print": "--role", "spool drop --all": "--yes"} {
		if text, exit := onTerminal.typed(t, dir, nil, append(strings.Fields(line), "--no-input")...); exit == 0 || !strings.Contains(text, want) {
			t.Errorf("%s exits %d\n%s", line, exit, text)
		}
	}
}
