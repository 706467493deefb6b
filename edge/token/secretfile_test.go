package token

import (
	"os"
	"path/filepath"
	"testing"

	"sunspool/edge/inverter"
)

// The token may be a secret of the container, with the mode that Docker gives it; elsewhere that mode is refused.
func TestTokenMayBeASecretOfTheContainer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can write where a container has its secrets; settings has a test of the rule itself")
	}
	if err := os.MkdirAll("/run/secrets", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove("/run/secrets") }) // if it is empty, as before
	mount, err := os.MkdirTemp("/run/secrets", "test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(mount) })
	for dir, good := range map[string]bool{mount: true, t.TempDir(): false} {
		file := filepath.Join(dir, "token")
		if err := os.WriteFile(file, []byte("a-token-of-the-roof\n"), 0o444); err != nil {
			t.Fatal(err)
		}
		os.Chmod(file, 0o444) // whatever the umask is
		if _, err := New("", file, inverter.Place{}); (err == nil) != good {
			t.Errorf("%s, mode 0444: %v", file, err)
		}
	}
}
