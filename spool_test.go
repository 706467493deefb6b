package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/spool/spooltest"
	"sunspool/health"
	"sunspool/vps/batch"
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

// What is exported as batches is what a server takes: one device a line, each sample as it was.
func TestExportedBatchesAreTaken(t *testing.T) {
	dir := t.TempDir()
	var files []string
	want := map[string]int{"roof": 700, "barn": 3}
	for device, n := range want {
		path := filepath.Join(dir, device+".db")
		kept, err := spool.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var group []spool.Pending
		for i := range n {
			s := spooltest.SampleAt(spooltest.Noon.Add(time.Duration(i) * 5 * time.Second))
			s.DeviceID = device
			group = append(group, spool.Pending{Sample: s, When: spool.When{Quality: spool.Synced}})
		}
		if err := errors.Join(kept.AppendAll(group), kept.Close()); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	var out, errs bytes.Buffer
	if exit := run(t.Context(), append([]string{"spool", "export", "--format", "batches"}, files...), &out, &errs); exit != 0 || errs.String() != "703 samples are written\n" {
		t.Fatalf("exit %d, %s", exit, &errs)
	}
	got := map[string]int{}
	for line := range strings.Lines(out.String()) {
		d := batch.NewDecoder()
		d.Body.WriteString(line)
		b, err := d.Decode([]string{"roof", "barn"}, spooltest.Noon.Add(24*time.Hour), wire.MaxSamples)
		if err != nil || len(b.Problems) > 0 || b.Foreign {
			t.Fatalf("%v, %+v", err, b.Problems)
		}
		for _, s := range b.Good {
			want := spooltest.SampleAt(spooltest.Noon.Add(time.Duration(got[b.Device]) * 5 * time.Second))
			want.DeviceID = b.Device
			if !s.Equal(&want) {
				t.Fatalf("%+v, want %+v", s, want)
			}
			got[b.Device]++
		}
		d.Release()
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
