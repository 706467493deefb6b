// Package files has the names of the files beside a spool, and the locks that guard them.
package files

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/internal/durable"
)

// A spool is more than one file for a moment: while it is made, salvaged or compacted. The lock of the file itself does
// not guard the others, because it goes with the file when that loses its name. So a process that opens a spool takes a
// lock of its names first, and no file beside a spool is made, renamed or removed without one of the two locks:
//
//	spool.db            the spool: locked as long as it is open
//	spool.db.lock       locked while a spool is opened, made or salvaged; empty, and never removed
//	spool.db.new        is being written
//	spool.db.salvaged   is whole, and takes the place of a damaged file that is set aside
//	spool.db.compact    is being written by the process that has the spool open
//	spool.db.damaged-1  is a damaged file that was set aside, see damaged.go

const LockWait = 2 * time.Second

func LockPath(path string) string { return path + ".lock" }

// LockNames takes the lock of the names of the spool at path and returns a function that releases it. On a full disk there
// may be no such file: then the lock of the spool is the only one.
func LockNames(path string) (unlockNames func(), err error) {
	file, _, err := durable.Open(LockPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		file, err = createLock(path)
	}
	if durable.NothingWritten(err) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := LockWithin(file, 2*LockWait); err != nil { // another process may hold it while it waits for the lock of the spool
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		durable.Unlock(file)
		file.Close()
	}, nil
}

// createLock makes the file whose lock is that of the names, for the owner of the spool.
func createLock(path string) (*os.File, error) {
	file, err := os.OpenFile(LockPath(path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		file, _, err = durable.Open(LockPath(path))
	}
	if err != nil {
		return nil, err
	}
	like, err := os.Stat(path)
	if err != nil {
		like, err = os.Stat(filepath.Dir(path))
	}
	if err == nil {
		err = durable.GiveTo(LockPath(path), like)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// LockWithin waits for the lock of file, at most so long. The error is bbolt's ErrTimeout if another process has it.
func LockWithin(file *os.File, most time.Duration) error {
	for waited := time.Duration(0); ; waited += LockWait / 20 {
		free, err := durable.Lock(file)
		if free || err != nil {
			return err
		}
		if waited >= most {
			return bolterrors.ErrTimeout
		}
		time.Sleep(LockWait / 20)
	}
}

// Holder returns the process that has the spool open, or is about to open it, for messages.
func Holder(path string) string {
	return cmp.Or(durable.LockHolder(path), durable.LockHolder(LockPath(path)))
}

func SalvagedPath(path string) string { return path + ".salvaged" }

// AdoptSalvaged gives a salvaged spool its name: the damaged file is set aside and has none any more. The error is
// fs.ErrNotExist if there is no salvaged spool.
func AdoptSalvaged(path string) error {
	whole, _, err := durable.Open(SalvagedPath(path))
	if err != nil {
		return err
	}
	defer whole.Close()
	if free, err := durable.Lock(whole); err != nil || !free {
		return cmp.Or(err, bolterrors.ErrTimeout)
	}
	defer durable.Unlock(whole)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s came into being", bolterrors.ErrTimeout, path)
	}
	return errors.Join(os.Rename(SalvagedPath(path), path), durable.SyncDir(filepath.Dir(path)))
}

// RemoveLeftovers removes what a crash left beside a spool that is open and whole. A salvaged spool is kept: a crash of this
// program leaves none beside a file that is whole, so its samples may be nowhere else.
func RemoveLeftovers(path string) (warn string) {
	os.Remove(CompactPath(path))
	os.Remove(path + ".new")
	if _, err := os.Lstat(SalvagedPath(path)); err != nil {
		return ""
	}
	aside, err := NextName(path, "unmerged")
	if err == nil {
		err = os.Rename(SalvagedPath(path), aside)
	}
	if err != nil {
		return fmt.Sprintf("%s is left over: %v", SalvagedPath(path), err)
	}
	return fmt.Sprintf("%s was left over beside a whole spool: it is %s now", SalvagedPath(path), aside)
}
