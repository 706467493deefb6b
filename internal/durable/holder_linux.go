package durable

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// LockHolder names the process that has a lock on the file at path, as " (process 1234)", or "" if the kernel does not
// report it: of another container it does not.
func LockHolder(path string) string {
	var st syscall.Stat_t
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || syscall.Stat(path, &st) != nil {
		return ""
	}
	inode := fmt.Sprintf(":%d", st.Ino)
	for line := range strings.Lines(string(locks)) { // 1: FLOCK ADVISORY WRITE 1234 fd:01:5678 0 EOF
		if f := strings.Fields(line); len(f) > 5 && f[1] == "FLOCK" && strings.HasSuffix(f[5], inode) && f[4] > "0" {
			return " (process " + f[4] + ")"
		}
	}
	return ""
}
