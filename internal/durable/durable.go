// Package durable keeps files whole and private: their names and contents survive a power cut, and no other user of the
// machine reads or replaces them. The edge's spool and the server's store are both built on it.
//
//	Create ──> write ──> Sync ──> rename ──> SyncDir     Replace does all of it
//
// bbolt and the standard library sync contents alone: a file whose name is not on the disk is gone after a power cut.
// What the kernel offers beyond that (locks and who holds them, leases, blocks allocated ahead, the page cache) is here
// for Linux, and does nothing elsewhere.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// State files are 0600 in a 0700 directory, regardless of the umask. Another user who may write into the directory could
// put a link or a file in the place of ours: such a file is refused, and a link is never followed.

// ErrNotOurs is a link, a directory or a file of another user in the place of a file of ours.
var ErrNotOurs = errors.New("not a file of ours")

// Open opens an existing file of ours to read and write. It removes the permissions of other users; warn is set if they
// had any.
func Open(path string) (f *os.File, warn string, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|NoFollow, 0)
	if info, e := os.Lstat(path); err != nil && e == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, "", fmt.Errorf("%w: %s is a symbolic link", ErrNotOurs, path)
	}
	if err != nil {
		return nil, "", err
	}
	info, err := f.Stat()
	if err == nil {
		err = ours(path, info)
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 && private {
		warn = fmt.Sprintf("%s was open to other users, mode %v; now it is not", path, info.Mode().Perm())
		err = f.Chmod(0o600)
	}
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return f, warn, nil
}

func ours(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is no regular file", ErrNotOurs, path)
	}
	if owner, ok := OwnerOf(info); ok && os.Geteuid() != 0 && owner != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to user %d, this is user %d", ErrNotOurs, path, owner, os.Geteuid())
	}
	return nil
}

// Create makes a new file, in the place of whatever was left there: a link is removed, not followed. It gets
// exactly mode, regardless of the umask: a health file must be readable by everybody.
func Create(path string, mode os.FileMode) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil || !private {
		return f, err
	}
	if err := f.Chmod(mode); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Replace writes a file so that a reader, or a power cut, sees the old one or the new one, never half of one. sync
// waits until it is on the disk.
func Replace(path string, b []byte, mode os.FileMode, sync bool) error {
	_, err := ReplaceInfo(path, b, mode, sync)
	return err
}

// ReplaceInfo is Replace, and returns the file info of the new file.
func ReplaceInfo(path string, b []byte, mode os.FileMode, sync bool) (info fs.FileInfo, err error) {
	if isDevice(path) {
		return nil, fmt.Errorf("%s is a device or a pipe, and no file that can be replaced", path)
	}
	f, err := Create(path+".new", mode)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(b)
	if sync && err == nil {
		err = f.Sync()
	}
	if err == nil {
		info, err = f.Stat()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil || !sync {
		return info, err
	}
	return info, SyncDir(filepath.Dir(path))
}

// IsStream reports whether path is a device or a pipe, or a link to one, or a link of the system to what is open, such as
// /dev/stdout: a file in its place would break every other program.
func IsStream(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir() || isDevice(path)
}

// isDevice is IsStream without following a link: what somebody put into a directory of ours, or into /dev/shm, is replaced.
func isDevice(path string) bool {
	info, err := os.Lstat(path)
	full, wrong := filepath.Abs(path)
	switch {
	case err != nil || wrong != nil || info.Mode().IsRegular() || info.IsDir():
		return false
	case info.Mode()&fs.ModeSymlink != 0:
		return strings.HasPrefix(full, "/dev/") && !strings.HasPrefix(full, "/dev/shm/") || strings.HasPrefix(full, "/proc/")
	}
	return true
}

// WriteWhole writes a file at path, whole or not at all: what write writes goes to another name beside it first. After an error
// there is the file that was there before, or none. A device or a pipe is written to as it is.
func WriteWhole(path string, mode os.FileMode, write func(*os.File) error) error {
	if IsStream(path) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := Create(path+".new", mode)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be flushed there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SecureDir creates dir if it is missing, and removes the permissions of other users. It does not change a directory
// with names that ours does not accept, which is shared on purpose or by mistake: then warn is set if others may write.
func SecureDir(dir string, ours func(name string) bool) (warn string, err error) {
	_, missing := os.Lstat(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if missing != nil { // a power cut must not take the directory with all that will be in it
		if err := SyncDir(filepath.Dir(dir)); err != nil {
			return "", err
		}
	}
	info, err := os.Stat(dir)
	if err != nil || !private || info.Mode().Perm()&0o077 == 0 {
		return "", err
	}
	mode := info.Mode().Perm()
	owner, ok := OwnerOf(info)
	entries, err := os.ReadDir(dir)
	alone := err == nil && ok && owner == os.Geteuid() && info.Mode()&fs.ModeSticky == 0
	for _, e := range entries {
		alone = alone && ours(e.Name())
	}
	switch {
	case alone:
		return fmt.Sprintf("%s was open to other users, mode %v; now it is not", dir, mode), os.Chmod(dir, 0o700)
	case mode&0o022 != 0:
		return fmt.Sprintf("%s can be changed by other users, mode %v: give the spool a directory of its own", dir, mode), nil
	}
	return "", nil
}
