package inspect

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"sunspool/edge/spool/salvage"
)

// File is a spool that no edge has open, or a file that was set aside. It is not changed. What can be read of a damaged one is
// in a copy among the temporary files, as an edge would make it.
type File struct {
	Damage     string // what is wrong with it; "" for nothing
	Unreadable int    // samples that were in a damaged one and cannot be read, as far as that can be known

	path, copied string
	file         *os.File
	db           *bolt.DB
}

// aside is the ending of files that were set aside, see package files.
var aside = regexp.MustCompile(`\.(damaged|unmerged)-[0-9]+$`)

// SetAside returns the spool that a file was set aside of, "" if it is none of these.
func SetAside(path string) string {
	if ending := aside.FindString(path); ending != "" {
		return strings.TrimSuffix(path, ending)
	}
	return ""
}

// Open reads the file at path from its beginning to its end, and opens it for reading. It waits at most so long for another
// process to close it. The error is a *health.Fault.
func Open(path, command string, wait time.Duration) (f *File, err error) {
	f = &File{path: path}
	if err = format.Catch(func() error { return f.open(wait) }); err != nil {
		f.Close()
		return nil, unreadableSpool(path, command, err)
	}
	return f, nil
}

func (f *File) open(wait time.Duration) (err error) {
	if f.file, err = os.Open(f.path); err != nil {
		return err
	}
	if err := files.LockWithin(f.file, wait); err != nil {
		return err
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	path, opened := f.path, f.file // which bbolt closes
	_, err = salvage.Examine(f.file, info.Size())
	if d, ok := errors.AsType[*salvage.Damaged](err); ok {
		f.Damage, _, _ = strings.Cut(d.Error(), "\n")
		if err = f.salvage(d, info.Size()); err != nil {
			return fmt.Errorf("%s; and what is left cannot be copied: %w", f.Damage, err)
		}
		path = filepath.Join(f.copied, "spool.db")
		if opened, err = os.Open(path); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	f.db, err = bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: files.LockWait,
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return opened, nil }})
	return err
}

// salvage copies what can be read of a damaged file.
func (f *File) salvage(d *salvage.Damaged, size int64) (err error) {
	if f.copied, err = os.MkdirTemp("", "sunspool-spool-"); err != nil {
		return err
	}
	spool := f.path
	if of := SetAside(f.path); of != "" {
		spool = of
	}
	mark, _ := format.ReadWatermark(spool) // without it, what the server has counts as waiting: it may be sent again
	result := new(salvage.Result)
	err = salvage.Into(f.file, size, d.Scan, mark, filepath.Join(f.copied, "spool.db"), salvage.MostCopies, result)
	f.Unreadable = result.Unreadable
	return err
}

// Close ends the reading.
func (f *File) Close() error {
	var errs []error
	if f.db != nil {
		errs = append(errs, f.db.Close())
	}
	if f.file != nil && (f.db == nil || f.copied != "") {
		errs = append(errs, f.file.Close())
	}
	if f.copied != "" {
		errs = append(errs, os.RemoveAll(f.copied))
	}
	return errors.Join(errs...)
}

func visible(uint64) bool { return false }

// view runs f on what is in the file.
func (f *File) view(command string, do func(*bolt.Tx)) error {
	if err := format.Catch(func() error { return f.db.View(func(tx *bolt.Tx) error { do(tx); return nil }) }); err != nil {
		return unreadableSpool(f.path, command, err)
	}
	return nil
}

// Info counts what is in the file.
func (f *File) Info() (i format.Info, err error) {
	err = f.view("list", func(tx *bolt.Tx) { i = format.ReadInfo(tx, visible) })
	i.Path = f.path
	if info, err := os.Stat(f.path); err == nil {
		i.Bytes = info.Size()
	}
	return i, err
}

// Page returns the samples of a part whose numbers are above after.
func (f *File) Page(part string, after uint64) (page format.Page, err error) {
	err = f.view("show", func(tx *bolt.Tx) { page, _ = format.ReadPage(tx, part, after, visible) })
	return page, err
}

// Requeue moves the chosen samples of a spool that no edge has open from the quarantine back to those that wait, in one
// transaction, and returns how many that were.
func Requeue(path string, c format.Choice) (n int, err error) {
	return change(path, "requeue", func(tx *bolt.Tx) (int, error) { return format.Requeue(tx, chosen(c)) })
}

// Drop deletes the chosen samples from the quarantine of a spool that no edge has open, and returns how many that were.
func Drop(path string, c format.Choice) (n int, err error) {
	return change(path, "drop", func(tx *bolt.Tx) (int, error) { return format.Drop(tx, chosen(c)) })
}

// change commits f to a whole spool that no edge has open.
func change(path, command string, f func(*bolt.Tx) (int, error)) (n int, err error) {
	err = format.Catch(func() error {
		if _, err := os.Stat(path); err != nil {
			return err
		}
		unlock, err := files.LockNames(path)
		if err != nil {
			return err
		}
		defer unlock()
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := files.LockWithin(file, files.LockWait); err != nil {
			return errors.Join(err, file.Close())
		}
		info, err := file.Stat()
		named, other := os.Stat(path)
		if err == nil && (other != nil || !os.SameFile(info, named)) {
			err = bolterrors.ErrTimeout // an edge has just put another file in its place
		}
		if err == nil {
			_, err = salvage.Examine(file, info.Size())
		}
		if err != nil {
			return errors.Join(err, file.Close())
		}
		db, err := format.OpenBolt(file)
		if err != nil {
			return err
		}
		err = db.Update(func(tx *bolt.Tx) (err error) {
			n, err = f(tx)
			return err
		})
		return errors.Join(err, db.Close())
	})
	if err != nil {
		return 0, unreadableSpool(path, command, err)
	}
	return n, nil
}

// RemoveAside deletes a file that was set aside.
func RemoveAside(path string) error {
	spool := SetAside(path)
	if spool == "" {
		return fmt.Errorf("%s was not set aside", path)
	}
	unlock, err := files.LockNames(spool)
	if err != nil {
		return unreadableSpool(path, "drop", err)
	}
	defer unlock()
	return os.Remove(path)
}

// AsideOf returns the files that were set aside of the spool at path, the newest first.
func AsideOf(path string) (all []string) {
	for _, kind := range []string{"damaged", "unmerged"} {
		found, _ := files.List(path, kind)
		for _, f := range found {
			all = append(all, fmt.Sprintf("%s.%s-%d", path, kind, f.N))
		}
	}
	return all
}

func chosen(c format.Choice) func(format.Rejection, time.Time) bool {
	return func(r format.Rejection, at time.Time) bool { return c.Has(r.Seq, r.Code, at) }
}
