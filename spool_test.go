package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/edge/spool"
	"sunspool/health"
	"sunspool/wire"
)

// The quarantine of a stopped edge, for people and for programs.
func TestSpoolQuarantineListsWhatWasRefused(t *testing.T) {
	for _, name := range []string{"SPOOL_PATH", "DEVICE_ID", "STATUS_SOCKET"} {
		t.Setenv(name, "")
	}
	path := filepath.Join(t.TempDir(), "spool.db")
	kept, err := spool.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	for i := range 3 {
		s := wire.Sample{DeviceID: "roof", Time: at.Add(time.Duration(i) * time.Minute), Count: 1}
		if err := kept.Append(&s, spool.When{Quality: spool.Synced}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		exit := run(t.Context(), append([]string{"spool", "quarantine"}, args...), &out, &errs)
		return out.String(), errs.String(), exit
	}
	if _, text, exit := ask(path); exit != health.ExitBusy || !strings.Contains(text, "--status-socket") || strings.Count(text, "error:") != 1 {
		t.Errorf("an edge has it, and answers nowhere: exit %d, %s", exit, text)
	}
	refused := []spool.Rejection{
		{Seq: 1, Code: "value_error", Detail: "too much\x1b[31m", First: at.Add(time.Hour), Last: at.Add(2 * time.Hour)},
		{Seq: 3, Code: "too_large", Detail: "one sample", First: at.Add(time.Hour), Last: at.Add(2 * time.Hour)},
	}
	if err := kept.Settle(nil, refused); err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}

	text, _, exit := ask(path)
	for _, want := range []string{"NUMBER", "2026-06-21T12:00:00Z  roof    value_error", "2026-06-21T13:00:00Z", `too much\x1b[31m`, "one sample",
		path + ": 2 samples are in quarantine: 1 too_large, 1 value_error\n"} {
		if !strings.Contains(text, want) || exit != 0 {
			t.Errorf("exit %d, %q is not in\n%s", exit, want, text)
		}
	}
	text, _, exit = ask("--json", path)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var last spool.QuarantinedSample
	if len(lines) != 2 || exit != 0 || json.Unmarshal([]byte(lines[1]), &last) != nil || last.Number != 3 || last.Code != "too_large" || last.Spool != path {
		t.Errorf("exit %d:\n%s", exit, text)
	}
	none := filepath.Join(t.TempDir(), "none.db")
	if _, text, exit := ask(none); exit != 1 || !strings.Contains(text, none) || !strings.Contains(text, "sunspool spool quarantine FILE") {
		t.Errorf("no spool: exit %d, %s", exit, text)
	}
}

// Which spools a command is about, where nothing names them: those of the package, else that of the image.
func TestSpoolsThatNothingNames(t *testing.T) {
	dir := t.TempDir()
	packaged, image, garage := filepath.Join(dir, "package", "spool.db"), filepath.Join(dir, "image", "spool.db"), filepath.Join(dir, "image", "garage.db")
	var files spoolFiles
	if got := files.of(packaged, image); !slices.Equal(got, []string{packaged}) {
		t.Errorf("neither is there: %v", got)
	}
	for _, path := range []string{image, garage} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	files.DeviceID = "roof,garage"
	if got := files.of(packaged, image); !slices.Equal(got, []string{image, garage}) {
		t.Errorf("in an image: %v", got)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(packaged), 0o700), os.WriteFile(packaged, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := files.of(packaged, image); !slices.Equal(got, []string{packaged}) {
		t.Errorf("with the package: %v", got)
	}
}
