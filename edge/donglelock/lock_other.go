//go:build !linux

package donglelock

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"sunspool/internal/durable"
)

// Held returns nothing: here the locks of other processes are not listed.
func Held() (addresses []string, hidden bool) { return nil, false }

// lock makes this process the only one of the machine that has the lock of that name, until unlock is called or the
// process ends. If another has it, heldBy names it. The lock is that of a file, which has text in it.
func lock(name, text string) (unlock func(), heldBy string, err error) {
	path := filepath.Join(os.TempDir(), strings.NewReplacer(":", "-", "%", "-").Replace(name)+".lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|durable.NoFollow, 0o644)
	if err != nil {
		return nil, "", err
	}
	free, err := durable.Lock(file)
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
