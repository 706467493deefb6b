package report

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/edge/clock"
	"sunspool/edge/inverter"
	"sunspool/edge/upload"
)

// What was salvaged, and where the damaged file is, is in the health.
func TestSalvagedSpoolIsInTheHealth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "spool.db")
	s := openSpool(t, path)
	want := fill(t, s, 200)
	s.Close()
	bad, _ := os.ReadFile(path)
	clear(bad[:8192]) // both metas: nothing says where anything is
	os.WriteFile(path, bad, 0o600)
	s = openSpool(t, path)
	r := New("test", "roof", filepath.Join(filepath.Dir(path), "health.json"), slog.New(slog.NewTextHandler(io.Discard, nil)))
	r.Watch(func() Parts {
		return Parts{Spool: s, Inverter: &inverter.Inverter{Dongle: new(inverter.Dongle)}, Uploader: &upload.Uploader{Spool: s}, Clock: new(clock.Clock)}
	})
	if h := r.Now(); h.Salvaged != len(want) || h.SetAside != s.Opening().Aside || h.SetAside == "" {
		t.Errorf("health says %d salvaged, kept as %q", h.Salvaged, h.SetAside)
	}
}

// A link in the place of the health file is replaced, not followed.
func TestHealthFileFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim, report := filepath.Join(dir, "victim"), filepath.Join(dir, "health.json.new")
	os.WriteFile(victim, []byte("precious"), 0o644)
	file := healthFile{path: strings.TrimSuffix(report, ".new")}
	for range 3 {
		os.Remove(report)
		if err := os.Symlink(victim, report); err != nil {
			t.Fatal(err)
		}
		if err := file.write([]byte("{}")); err != nil {
			t.Error(err)
		}
		info, err := os.Stat(victim)
		if b, _ := os.ReadFile(victim); err != nil || string(b) != "precious" || info.Mode().Perm() != 0o644 {
			t.Fatalf("the link was followed: %q, %v", b, err)
		}
	}
}
