//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	private  = true // files have an owner and a mode
	NoFollow = syscall.O_NOFOLLOW
)

func OwnerOf(info fs.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// GiveTo makes the owner of like the owner of the file at path, so that what root mends for a service stays the
// service's.
func GiveTo(path string, like fs.FileInfo) error {
	st, ok := like.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(st.Uid), int(st.Gid))
}

// Lock takes the lock that bbolt takes: on the same open file bbolt gets it again. It returns whether it was free.
func Lock(f *os.File) (free bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Unlock gives the lock back, even while a mapping that nobody will use again keeps the file open.
func Unlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// NothingWritten is an error of a disk that is full or that cannot be written: nothing was changed, and the file is as it was.
func NothingWritten(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EFBIG)
}

// FromSystem is an error of the system below us, not of our own.
func FromSystem(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}
