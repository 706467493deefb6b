package inspect

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sunspool/edge/spool"
	"sunspool/health"
)

func TestUnsentSamplesAreCountedWithoutTouchingTheSpool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	all := fill(t, s, 10)
	late := all[9]
	late.Time = late.Time.Add(time.Hour)
	if err := s.Append(&late, spool.When{Quality: spool.Undated}); err != nil { // its time is not known: unsent all the same
		t.Fatal(err)
	}
	records := peek(t, s, 3)
	if err := s.Settle(seqs(records)[:2], []spool.Rejection{{Seq: records[2].Seq, Code: "x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := CountUnsent(path); codeOfFault(err) != "spool_busy" {
		t.Errorf("while an edge has it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	got, err := CountUnsent(path)
	if want := (Unsent{path, 8, 1}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("counting changed the file")
	}
}

func TestWhatCannotBeCountedIsSaid(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]string{garbage: "spool_unreadable", filepath.Join(dir, "none.db"): "no_spool"} {
		_, err := CountUnsent(path)
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != code || f.Next == "" {
			t.Errorf("%s: %v, want %s", path, err, code)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("asking for a spool that is not there made one")
	}
}

func codeOfFault(err error) string {
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return f.Code
	}
	return ""
}

func TestSpoolsOfSeveralInvertersAreCounted(t *testing.T) {
	dir := t.TempDir()
	var all []string
	for _, name := range []string{"spool.db", "barn.db", "garage.db", "spool.db.lock", "health.json"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, path)
	}
	spool, barn, garage := all[0], all[1], all[2]
	for device, want := range map[string][]string{"": {spool}, "roof": {spool}, "roof, garage": {spool, garage}, "garage,barn,cellar": {spool, barn}} {
		if got := FilesOf(spool, device); !slices.Equal(got, want) {
			t.Errorf("%q: %v", device, got)
		}
	}
	if got := FilesBeside(spool); !slices.Equal(got, []string{spool, barn, garage}) {
		t.Error(got)
	}
}
