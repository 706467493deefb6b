package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/health"
)

// A file that is missing may come after the start, so the edge waits for it; the check names it.
func TestCheckNamesFilesThatAreMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SUNGROW_HOST", "192.0.2.7")
	t.Setenv("VPS_BASE_URL", "https://vps.example.org")
	t.Setenv("SPOOL_PATH", filepath.Join(dir, "spool.db"))
	names := []string{"VPS_DEVICE_TOKEN_FILE", "VPS_CA_FILE", "REGISTER_MAP"}
	for _, name := range names {
		t.Setenv(name, filepath.Join(dir, name))
	}
	var c commands
	if _, err := c.parse([]string{"edge"}); err != nil {
		t.Errorf("the edge does not start: %v", err)
	}
	var errs bytes.Buffer
	if exit := run(t.Context(), []string{"check", "edge"}, io.Discard, &errs); exit != health.ExitConfig {
		t.Errorf("the check exits %d", exit)
	}
	for _, name := range names {
		if !strings.Contains(errs.String(), name) {
			t.Errorf("the check does not name %s:\n%s", name, errs.String())
		}
	}
}
