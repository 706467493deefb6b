package durable

import (
	"errors"
	"fmt"
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

// The process that is named has locked this file, not one of another disk that happens to have the same number.
func TestLockHolderIsOfThatDisk(t *testing.T) {
	var same []string
	for range 2 { // the first file of a new disk has the same number each time
		path := filepath.Join(testhost.Ext4(t, 16).Dir, "file")
		f, err := Create(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if len(same) == 0 {
			if free, err := Lock(f); !free {
				t.Fatal(err)
			}
		}
		same = append(same, path)
	}
	if got, want := LockHolder(same[0]), fmt.Sprintf(" (process %d)", os.Getpid()); got != want {
		t.Errorf("the holder is %q, want %q", got, want)
	}
	if got := LockHolder(same[1]); got != "" {
		t.Errorf("nothing has it locked, but%s", got)
	}
}
