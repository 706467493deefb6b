//go:build !linux

package edge

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

// forgetPages cannot be had here.
func forgetPages(f *os.File) error { return f.Sync() }

// lockDongle makes this process the only one of the machine that has the lock of that name, until unlock is called or the
// process ends. If another has it, heldBy names it. The lock is that of a file, which has text in it.
func lockDongle(name, text string) (unlock func(), heldBy string, err error) {
	path := filepath.Join(os.TempDir(), strings.NewReplacer(":", "-", "%", "-").Replace(name)+".lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o644)
	if err != nil {
		return nil, "", err
	}
	free, err := lock(file)
	if err != nil || !free {
		text, _ := io.ReadAll(io.LimitReader(file, 200))
		file.Close()
		return nil, withDevices("another process", string(text)), err
	}
	if file.Truncate(0) == nil {
		file.WriteAt([]byte(text), 0)
	}
	return func() { file.Close() }, "", nil
}
