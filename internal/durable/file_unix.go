//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	private  = true               // files have an owner and a mode
	NoFollow = syscall.O_NOFOLLOW // flag of open: fail on a symbolic link
)

// OwnerOf returns the user that owns a file, if that is known.
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

// Lock takes the lock that bbolt takes: on the same open file bbolt gets it again. It reports whether the lock was free.
func Lock(f *os.File) (free bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Unlock releases the lock, even while a mapping that is not used any more keeps the file open.
func Unlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// NothingWritten reports whether err is that of a disk that is full or read-only: the file is as it was before.
func NothingWritten(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EFBIG)
}

// FromSystem reports whether err comes from the operating system.
func FromSystem(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}
