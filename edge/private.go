package edge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What the edge keeps is its owner's alone: files 0600 in a directory 0700, whatever the umask was or is. Whoever may
// write into the directory could put a link or a file of his own in the place of ours; such a thing is refused, never
// followed.

var errNotOurs = errors.New("not a file of ours")

// openOurs opens an existing file of ours to read and write. What others may do with it is taken from them; warn says
// that they could.
func openOurs(path string) (f *os.File, warn string, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|noFollow, 0)
	if info, e := os.Lstat(path); err != nil && e == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, "", fmt.Errorf("%w: %s is a symbolic link", errNotOurs, path)
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
		return fmt.Errorf("%w: %s is no regular file", errNotOurs, path)
	}
	if owner, ok := ownerOf(info); ok && os.Geteuid() != 0 && owner != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to user %d, this is user %d", errNotOurs, path, owner, os.Geteuid())
	}
	return nil
}

// createOurs makes a new file, in the place of whatever was left there: a link is removed, not followed. Its mode is the
// one asked for also where the umask would have it closer: a health file is for everybody.
func createOurs(path string, mode os.FileMode) (*os.File, error) {
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

// replaceOurs writes a file so that a reader, or a power cut, sees the old one or the new one, never half of one. sync
// waits until it is on the disk.
func replaceOurs(path string, b []byte, mode os.FileMode, sync bool) error {
	_, err := putOurs(path, b, mode, sync)
	return err
}

// putOurs is replaceOurs that describes the new file.
func putOurs(path string, b []byte, mode os.FileMode, sync bool) (info fs.FileInfo, err error) {
	f, err := createOurs(path+".new", mode)
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
	return info, syncDir(filepath.Dir(path))
}

// tighten makes the directory of path ours alone. One that holds other things than ours is shared on purpose, or by a
// mistake that is not ours to mend: that is only said.
func tighten(path string) (warn string, err error) {
	dir := filepath.Dir(path)
	_, missing := os.Lstat(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if missing != nil { // a power cut must not take the directory with all that will be in it
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return "", err
		}
	}
	info, err := os.Stat(dir)
	if err != nil || !private || info.Mode().Perm()&0o077 == 0 {
		return "", err
	}
	mode := info.Mode().Perm()
	owner, ok := ownerOf(info)
	entries, err := os.ReadDir(dir)
	alone := err == nil && ok && owner == os.Geteuid() && info.Mode()&fs.ModeSticky == 0
	for _, e := range entries {
		name := e.Name()
		alone = alone && (strings.HasPrefix(name, filepath.Base(path)) || strings.HasPrefix(name, "health.json") || name == "edge.sock")
	}
	switch {
	case alone:
		return fmt.Sprintf("%s was open to other users, mode %v; now it is not", dir, mode), os.Chmod(dir, 0o700)
	case mode&0o022 != 0:
		return fmt.Sprintf("%s can be changed by other users, mode %v: give the spool a directory of its own", dir, mode), nil
	}
	return "", nil
}
