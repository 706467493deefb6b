package systemd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/health"
)

func TestServiceElsewhereHasTheSettingsOfItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.env")
	text := "# a comment\n\nSUNGROW_HOST=192.0.2.7\nDEVICE_ID=\"my roof\"\nBATCH_SIZE=30\nSPOOL_PATH=\n#POLL_INTERVAL_S=7\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SUNGROW_HOST", "DEVICE_ID", "SPOOL_PATH", "DATA_DIR", "POLL_INTERVAL_S"} {
		t.Setenv(name, "")
	}
	t.Setenv("BATCH_SIZE", "10")
	if err := (Service{Role: "edge"}).loadSettings(file); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"SUNGROW_HOST": "192.0.2.7", "DEVICE_ID": "my roof", "POLL_INTERVAL_S": "",
		"BATCH_SIZE": "10",                              // what is set already stays
		"SPOOL_PATH": "/var/lib/sunspool/edge/spool.db", // not where an image has it
	} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestServiceElsewhereSaysWhatIsWrongWithItsFile(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.env")
	if err := os.WriteFile(broken, []byte("SUNGROW_HOST 192.0.2.7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{broken, filepath.Join(dir, "none.env")} {
		err := (Service{Role: "edge"}).loadSettings(file)
		f, ok := errors.AsType[*health.Fault](err)
		if !ok || f.Exit != health.ExitConfig || f.Next == "" || !strings.Contains(f.Error(), filepath.Base(file)) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
