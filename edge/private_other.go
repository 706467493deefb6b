//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package edge

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Here files have no owner and no mode that we know of, and bbolt alone locks them.

const (
	private  = false
	noFollow = 0
)

func ownerOf(fs.FileInfo) (uid int, ok bool) { return 0, false }

func giveTo(string, fs.FileInfo) error { return nil }

func lock(*os.File) (free bool, err error) { return true, nil }

func unlock(*os.File) {}

func clean(error) bool { return false }

func hard(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}
