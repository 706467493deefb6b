package durable

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// LockHolder names the process that has a lock on the file at path, as " (process 1234)", or "" if the kernel does not
// report it: of another container it does not, and btrfs numbers its devices otherwise there. Where it is named the reader of
// the error need not search for it with tools that a small system lacks (fuser, lsof).
func LockHolder(path string) string {
	var st syscall.Stat_t
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || syscall.Stat(path, &st) != nil {
		return ""
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino)
	for line := range strings.Lines(string(locks)) { // 1: FLOCK ADVISORY WRITE 1234 fd:01:5678 0 EOF
		if f := strings.Fields(line); len(f) > 5 && f[1] == "FLOCK" && f[5] == file && f[4] > "0" {
			return " (process " + f[4] + ")"
		}
	}
	return ""
}
