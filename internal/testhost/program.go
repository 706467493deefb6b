package testhost

import (
	"os"
	"syscall"
	"testing"
)

// WriteProgram writes a program that is started afterwards. While a file is open for writing the kernel starts no program from it,
// and a process that another goroutine starts at that moment has it open, too, until it has become its own program. So no
// process is started meanwhile.
func WriteProgram(t testing.TB, path string, text []byte, mode os.FileMode) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
}
