//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Here the owner and the mode of a file are unknown, and only bbolt locks files.

const (
	private  = false
	NoFollow = 0
)

func OwnerOf(fs.FileInfo) (uid int, ok bool) { return 0, false }

func GiveTo(string, fs.FileInfo) error { return nil }

func Lock(*os.File) (free bool, err error) { return true, nil }

func Unlock(*os.File) {}

func NothingWritten(error) bool { return false }

func FromSystem(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}
