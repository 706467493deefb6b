package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sunspool/internal/testhost"
)

func TestFileOfAnotherUserIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	os.WriteFile(path, nil, 0o600)
	info, _ := os.Stat(path)
	owner, _ := OwnerOf(info)
	if err := ours(path, info); err != nil || owner != os.Geteuid() {
		t.Fatalf("our own is refused: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: root is needed to be somebody else")
	}
	// Root may open it; the check is made as another user on this thread only.
	done := make(chan error, 1)
	go func() { done <- testhost.AsUser(12345, func() error { return ours(path, info) }) }()
	if err := <-done; !errors.Is(err, ErrNotOurs) {
		t.Errorf("another user's file is %v", err)
	}
}
