package testhost

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// ContainerSecrets is a new directory where a container has its secrets. Only root can make it, so the test is skipped for others.
func ContainerSecrets(t testing.TB) string {
	t.Helper()
	const secrets = "/run/secrets"
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can write where a container has its secrets; settings has a test of the rule itself")
	}
	for range 1000 { // a test of another package that ends may remove the directory while it is empty
		if err := os.MkdirAll(secrets, 0o755); err != nil {
			t.Fatal(err)
		}
		dir, err := os.MkdirTemp(secrets, "test-")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			os.RemoveAll(dir)
			os.Remove(secrets) // if it is empty, as before
		})
		return dir
	}
	t.Fatal("the directory of the secrets is removed each time")
	return ""
}
