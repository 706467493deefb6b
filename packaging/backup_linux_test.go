package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The units for a backup every night are in the documentation alone. They call what the package installs, which is not here.
func TestBackupTimerIsUnderstoodBySystemd(t *testing.T) {
	page, err := os.ReadFile("../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var paths []string
	for _, unit := range regexp.MustCompile("(?s)`/etc/systemd/system/([a-z.-]+)`:\n\n```ini\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		path := filepath.Join(dir, unit[1])
		text := strings.ReplaceAll(unit[2], "/usr/bin/sunspool", "/bin/true")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if len(paths) != 2 {
		t.Fatalf("the page has the units %v", paths)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("NOT SHOWN: no systemd-analyze here")
	}
	if out, err := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--man=no"}, paths...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
