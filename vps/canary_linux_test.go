package vps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/race"
	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

// canary is in every secret of these tests, and must be in nothing that the program says.
const canary = "canary-7f3k-0123456789"

// TestWrongSettingsNeverQuoteASecret runs the program with every kind of secret in the wrong place or shape.
func TestWrongSettingsNeverQuoteASecret(t *testing.T) {
	race.Skip(t, "the program is a process of its own")
	path, dir := testprogram.Path(t), t.TempDir()
	open := filepath.Join(dir, "tokens")
	if err := os.WriteFile(open, []byte(canary+":roof"), 0o644); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "nonsense")
	if err := os.WriteFile(closed, []byte(canary+"\n"+canary+":"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := "DEVICE_TOKENS=" + canary + ":roof"
	for name, run := range map[string]struct {
		exit int // -1: it may run, and is stopped soon
		env  []string
		args []string
	}{
		"a token without a device":     {health.ExitConfig, []string{"DEVICE_TOKENS=" + canary}, nil},
		"a token with a wrong device":  {health.ExitConfig, []string{"DEVICE_TOKENS=" + canary + ":ro of"}, nil},
		"a hash that is none":          {health.ExitConfig, []string{"DEVICE_TOKENS=sha256:" + canary + ":roof"}, nil},
		"one token for two devices":    {health.ExitConfig, []string{good + "," + canary + ":shed"}, nil},
		"a viewer without a device":    {health.ExitConfig, []string{good, "VIEWER_TOKENS=" + canary}, nil},
		"a file that all may read":     {health.ExitConfig, []string{"DEVICE_TOKENS_FILE=" + open}, nil},
		"a file of nonsense":           {health.ExitConfig, []string{"DEVICE_TOKENS_FILE=" + closed}, nil},
		"a token as a file":            {health.ExitConfig, []string{"DEVICE_TOKENS_FILE=" + dir}, nil},
		"a token as a flag":            {health.ExitConfig, []string{good}, []string{"--device-tokens=" + canary + ":shed"}},
		"a database as a flag":         {health.ExitConfig, []string{good}, []string{"--database-url=postgres://u:" + canary + "@127.0.0.1/d"}},
		"a database of another kind":   {health.ExitConfig, []string{good, "DATABASE_URL=mysql://u:" + canary + "@127.0.0.1/d"}, nil},
		"a database with a wrong port": {health.ExitConfig, []string{good, "DATABASE_URL=postgres://u:" + canary + "@127.0.0.1:port/d"}, nil},
		"a database with a bad host":   {health.ExitConfig, []string{good, "DATABASE_URL=postgres://u:" + canary + "@[::1/d"}, nil},
		"a database with a bad escape": {health.ExitConfig, []string{good, "DATABASE_URL=postgres://u:" + canary + "%zz@127.0.0.1/d"}, nil},
		"a database in words":          {health.ExitConfig, []string{good, "DATABASE_URL=host=127.0.0.1 password=" + canary + " port=x"}, nil},
		"a database that is away":      {-1, []string{good, "DATABASE_URL=postgres://u:" + canary + "@127.0.0.1:1/d?connect_timeout=1"}, nil},
		"tables of a database away":    {-1, []string{good, "DATABASE_URL=postgres://u:" + canary + "@127.0.0.1:1/d?connect_timeout=1"}, []string{"--migrate-only"}},
		"a cache with a bad escape":    {health.ExitConfig, []string{good, "REDIS_URL=redis://:" + canary + "%zz@127.0.0.1/0"}, nil},
		"a cache with a bad database":  {health.ExitConfig, []string{good, "REDIS_URL=redis://u:" + canary + "@127.0.0.1/x"}, nil},
		"a cache that is away":         {-1, []string{good, "REDIS_URL=redis://u:" + canary + "@127.0.0.1:1/0"}, nil},
		"everything wrong at once":     {health.ExitConfig, []string{"DEVICE_TOKENS=" + canary, "VIEWER_TOKENS=" + canary, "DATABASE_URL=" + canary, "REDIS_URL=" + canary, "SITE_TZ=Nowhere"}, nil},
		"help":                         {0, []string{good, "DATABASE_URL=postgres://u:" + canary + "@h/d", "REDIS_URL=redis://u:" + canary + "@h", "VIEWER_TOKENS=" + canary + ":*"}, []string{"--help"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), testservices.Patience)
			defer stop()
			cmd := exec.CommandContext(ctx, path, append([]string{"vps"}, run.args...)...)
			cmd.Env = append([]string{"DATA_DIR=" + t.TempDir(), "LISTEN_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "LOG_LEVEL=debug"}, run.env...)
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			var said logBuffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if run.exit < 0 {
				go func() { // what it says at first may take a busy machine longer
					for said.String() == "" && sleep(ctx, 10*time.Millisecond) {
					}
					sleep(ctx, 5*time.Second)
					stop()
				}()
			}
			err := cmd.Wait()
			out := []byte(said.String())
			exited := cmd.ProcessState.ExitCode()
			if run.exit >= 0 && exited != run.exit {
				t.Errorf("exit status %d (%v), want %d:\n%s", exited, err, run.exit, out)
			}
			if len(out) == 0 {
				t.Error("nothing is said")
			}
			if at := bytes.Index(out, []byte(canary)); at >= 0 {
				t.Errorf("the secret is quoted: ...%s", out[max(at-200, 0):min(at+100, len(out))])
			}
			if bytes.Contains(out, []byte("goroutine ")) {
				t.Errorf("a trace instead of an error: %.500s", out)
			}
		})
	}
}

// TestReloadsNeverQuoteASecret: the tokens' file changes for better and worse while the program runs; then it crashes.
func TestReloadsNeverQuoteASecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write(canary+"-1:roof", 0o600)
	p := startProcess(t, testprogram.Path(t), "DEVICE_TOKENS_FILE="+file)
	reloads := 0
	for _, step := range []struct {
		text  string
		mode  os.FileMode
		valid string // the token that is good afterwards
	}{
		{canary + "-2:roof", 0o600, canary + "-2"},
		{canary, 0o600, canary + "-2"},
		{canary + "-3:roof", 0o644, canary + "-2"},
		{canary + "-3:roof," + canary + "-3:shed", 0o600, canary + "-2"},
		{"sha256:" + canary + ":roof", 0o600, canary + "-2"},
		{canary + "-3:roof\n" + canary + "-4:roof", 0o600, canary + "-4"},
	} {
		write(step.text, step.mode)
		reloads++
		p.cmd.Process.Signal(syscall.SIGHUP)
		p.until("it has reloaded", func() bool {
			return strings.Count(p.said(), `"tokens reloaded"`)+strings.Count(p.said(), `"tokens not reloaded, the old ones stay"`) == reloads
		})
		c := newGoodClient(p.public, step.valid, "roof")
		if c.ask(c.fresh, "POST", wire.IngestPath, `{"samples":[]}`); c.problems != nil {
			t.Errorf("%d: %v", reloads, c.problems)
		}
		old := newGoodClient(p.public, canary+"-1", "roof")
		if old.ask(old.fresh, "POST", wire.IngestPath, `{"samples":[]}`); len(old.problems) != 1 || !strings.Contains(old.problems[0], "401") {
			t.Errorf("%d: the first token is answered %v", reloads, old.problems)
		}
	}
	all := p.answer(p.internal, wire.MetricsPath) + p.answer(p.internal, wire.HealthPath) + p.answer(p.internal, wire.ReadyPath) + p.proc("cmdline")
	p.end(syscall.SIGQUIT)
	all += p.said()
	if !strings.Contains(all, "SIGQUIT: quit") || !strings.Contains(all, "goroutine 1 ") {
		t.Error("no traces of a crash")
	}
	if at := strings.Index(all, canary); at >= 0 {
		t.Errorf("the secret is quoted: ...%s", all[max(at-200, 0):min(at+100, len(all))])
	}
}

// TestGuessersDoNotStopAGoodEdge: 10,000 wrong tokens from the address of an edge that uploads meanwhile.
func TestGuessersDoNotStopAGoodEdge(t *testing.T) {
	const guesses = 10_000
	p := startProcess(t, testprogram.Path(t), "DEVICE_TOKENS="+goodToken+":roof")
	ctx, end := context.WithCancel(t.Context())
	good := newGoodClient(p.public, goodToken, "roof")
	var edge, guessers sync.WaitGroup
	edge.Go(func() { good.run(ctx, 1<<30) })
	var next, slowed atomic.Int64
	for range 8 {
		guessers.Go(func() {
			for n := next.Add(1); n <= guesses; n = next.Add(1) {
				c := newGoodClient(p.public, fmt.Sprint("guess-", n), "roof")
				c.kept = nil
				c.ask(c.fresh, "POST", wire.IngestPath, `{"samples":[]}`)
				if len(c.problems) != 1 || !strings.Contains(c.problems[0], "401 ") && !strings.Contains(c.problems[0], "429 ") {
					t.Errorf("guess %d: %v", n, c.problems)
					return
				}
				if strings.Contains(c.problems[0], "429 ") {
					slowed.Add(1)
				}
			}
		})
	}
	guessers.Wait()
	end()
	edge.Wait()
	for _, problem := range good.problems {
		t.Error("good edge:", problem)
	}
	t.Logf("%d guesses, %d of them answered 429; %d good requests, p99 %v", guesses, slowed.Load(), len(good.took), good.quantile(.99))
	if len(good.took) < 20 || good.acknowledged == 0 {
		t.Errorf("only %d good requests", len(good.took))
	}
	if slowed.Load() < guesses*9/10 {
		t.Errorf("only %d guesses were told to wait", slowed.Load())
	}
}
