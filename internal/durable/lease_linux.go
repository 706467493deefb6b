package durable

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lease reports whether file, which is open for writing, is open nowhere else and has no other name. Then no process
// can open it until it is closed: the kernel grants a lease for writing on no other file, and makes an open of it wait.
func Lease(file *os.File) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Nlink != 1 {
		return false
	}
	_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	return err == nil
}

// OpenUnleased opens the file at path to read, and reports whether that would wait because a writer has it reserved.
func OpenUnleased(path string) (file *os.File, reserved bool, err error) {
	file, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	return file, errors.Is(err, unix.EWOULDBLOCK), err
}
