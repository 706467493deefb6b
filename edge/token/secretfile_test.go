package token

import (
	"os"
	"path/filepath"
	"testing"

	"sunspool/edge/inverter"
	"sunspool/internal/testhost"
)

// The token may be a secret of the container, with the mode that Docker gives it; elsewhere that mode is refused.
func TestTokenMayBeASecretOfTheContainer(t *testing.T) {
	mount := testhost.ContainerSecrets(t)
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
