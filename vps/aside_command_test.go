//go:build unix

package vps

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/settings"
	"sunspool/wire"
)

// The command works beside a vps that has the file open, on the file alone, and on a database.
func TestAsideCommand(t *testing.T) {
	body, old, future := pythonBatch(time.Hour)
	now := time.Now().UTC()
	body = strings.ReplaceAll(body, "2026-06-21", now.Add(-36*time.Hour).Format(time.DateOnly))
	const token = "t1-0123456789abcdef"
	run := func(cfg Config, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		var err error
		if args[0] == "delete" {
			err = DeleteAside(t.Context(), cfg, AsideDeleteConfig{Device: args[1]}, &out)
		} else {
			err = ListAside(t.Context(), cfg, AsideListConfig{Device: args[1], JSON: args[0] == "json"}, &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	list := func(cfg Config) {
		t.Helper()
		if got := run(cfg, "list", "inv-1"); !strings.Contains(got, "1970-01-01T00:00:12") || !strings.HasSuffix(got, "inv-1: 2 samples are set aside: 1 ts_in_future, 1 ts_too_old\n") {
			t.Errorf("list: %s", got)
		}
		lines := strings.Split(run(cfg, "json", "inv-1"), "\n")
		if len(lines) != 3 || !strings.Contains(lines[0], `"sample":`+old) || !strings.Contains(lines[1], `"sample":`+future) {
			t.Errorf("json: %q", lines)
		}
		if got := run(cfg, "list", "inv-2"); got != "inv-2: 0 samples are set aside\n" {
			t.Errorf("of another device: %s", got)
		}
	}
	gone := func(cfg Config) {
		t.Helper()
		if got := run(cfg, "delete", "inv-1") + run(cfg, "list", "inv-1"); got != "inv-1: 2 samples deleted\ninv-1: 0 samples are set aside\n" {
			t.Errorf("delete: %s", got)
		}
	}
	send := func(r running) {
		t.Helper()
		answer, err := http.DefaultClient.Do(postTo(r.public, token, body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if text, _ := io.ReadAll(answer.Body); !strings.HasSuffix(string(text), `,"set_aside":2}`) {
			t.Fatalf("%s\n%s", text, r.log)
		}
	}
	serve := func(cfg Config) running {
		t.Helper()
		cfg.InternalAddr, cfg.DeviceTokens = "127.0.0.1:0", token+":inv-1"
		r := start(t, cfg)
		send(r)
		return r
	}

	dir := t.TempDir()
	beside := serve(Config{DataDir: dir})
	open := Config{DataDir: dir, InternalAddr: beside.internal}
	list(open)
	if err := ListAside(t.Context(), Config{DataDir: dir}, AsideListConfig{Device: "inv-1"}, new(bytes.Buffer)); faultCode(err) != "store_locked" {
		t.Errorf("without INTERNAL_ADDR: %v", err)
	}
	gone(open)
	send(beside)
	beside.stop()
	list(open)
	gone(Config{DataDir: dir})

	database := Config{DatabaseURL: settings.Secret(testservices.SharedPostgres(t).NewDatabase(t))}
	r := serve(database)
	list(database)
	gone(database)
	r.stop()

	empty := t.TempDir()
	if err := ListAside(t.Context(), Config{DataDir: empty, InternalAddr: "127.0.0.1:1"}, AsideListConfig{Device: "inv-1"}, new(bytes.Buffer)); faultCode(err) != "store_missing" {
		t.Errorf("of nothing: %v", err)
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		t.Errorf("it made %v", left)
	}
	if err := ListAside(t.Context(), open, AsideListConfig{Device: "a/../b"}, new(bytes.Buffer)); faultCode(err) != "usage" {
		t.Errorf("of what is no device: %v", err)
	}
}

func postTo(address, token, body string) *http.Request {
	r, err := http.NewRequest("POST", "http://"+address+wire.IngestPath, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func faultCode(err error) string {
	f, ok := errors.AsType[*health.Fault](err)
	if !ok {
		return fmt.Sprint(err)
	}
	return f.Code
}
