package main

import (
	"os"
	"syscall"
)

// flush makes f durable.
func flush(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
