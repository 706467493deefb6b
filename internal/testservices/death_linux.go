package testservices

import "syscall"

// atDeathOfParent makes the kernel send sig to the process when the thread that started it ends.
func atDeathOfParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
