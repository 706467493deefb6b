package testhost

import (
	"runtime"
	"syscall"
)

// AsUser runs f as another user. The thread is thrown away after it.
func AsUser(uid int, f func() error) error {
	runtime.LockOSThread()
	if _, _, errno := syscall.RawSyscall(sysSetresuid, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
		return errno
	}
	return f()
}

// 386 and arm number the call with 32-bit ids apart.
var sysSetresuid = func() uintptr {
	if runtime.GOARCH == "386" || runtime.GOARCH == "arm" {
		return 208
	}
	return syscall.SYS_SETRESUID
}()
