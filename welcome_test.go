package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sunspool/edge/report"
	"sunspool/vps"
)

// Without a command it says where one is, in one line, and what there is: at most 8 lines, and nothing is wrong with it.
func TestWithoutACommandItSaysWhereOneIs(t *testing.T) {
	t.Setenv("HEALTH_PATH", filepath.Join(t.TempDir(), "health.json"))
	t.Setenv("ADMIN_SOCKET", filepath.Join(t.TempDir(), "none.sock"))
	var out bytes.Buffer
	if code := run(t.Context(), nil, &out, io.Discard); code != 0 {
		t.Errorf("exit status %d", code)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) > 8 || !strings.Contains(lines[1], "sudo sunspool") {
		t.Errorf("%s", &out)
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 80 {
			t.Errorf("wider than 80: %s", line)
		}
	}
	t.Setenv("POLL_INTERVAL_S", "often") // what status does not read is no reason to fail
	if code := run(t.Context(), nil, io.Discard, io.Discard); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestWhereOneIs(t *testing.T) {
	root := t.TempDir()
	none := statusCommand{HealthPath: filepath.Join(root, "health.json"), Server: vps.MachineConfig{AdminSocket: filepath.Join(root, "none.sock")}}
	if got := none.where(t.Context(), root); got != "not set up: sudo sunspool setup" {
		t.Error(got)
	}
	dir := filepath.Join(root, "etc/sunspool")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "edge-garage.env"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := none.where(t.Context(), root); got != "configured, and nothing answers: sudo sunspool status" {
		t.Error(got)
	}
	for want, change := range map[string]func(*report.Health){
		"configured, healthy: PV 4.21 kW": nil,
		"configured, degraded: roof: no upload since 07:02": func(h *report.Health) {
			h.Status, h.Sentence = report.StateDegraded, "no upload since 07:02, "+strings.Repeat("much more ", 20)
		},
	} {
		c := none
		c.HealthPath = writeHealth(t, edgeThat(time.Now(), change))
		if got := c.where(t.Context(), root); !strings.HasPrefix(got, want) || utf8.RuneCountInString(got) > 78 {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := silence(true, root); !strings.Contains(got, "may not") || !strings.Contains(got, "sudo sunspool status") {
		t.Error(got)
	}
	if os.Getuid() == 0 {
		t.Log("root may see everything: what another user may not is not shown")
		return
	}
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	if got := none.where(t.Context(), root); !strings.Contains(got, "may not see") {
		t.Error(got)
	}
}
