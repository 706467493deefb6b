package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"sunspool/edge/spool/salvage"
	"sunspool/health"
	"sunspool/internal/durable"
)

// Opening describes what was wrong with the spool when it was opened, at the start or later. The zero value is a spool
// without faults.
type Opening struct {
	At         time.Time // of the last fault
	Damage     string    // what was wrong with the file
	Aside      string    // where the damaged file is now
	Salvaged   int       // samples found in it, in the spool again
	Unreadable int       // samples that were in it and could not be read, as far as that can be known
	Vanished   bool      // the file was missing or empty although there had been samples
	Warnings   []string  // what was repaired on the way
}

const (
	alarmFor = time.Hour // how long a repair at the opening is shown in the health of the spool
)

// open opens the file, in whatever state it is, on the goroutine that owns it.
//
//	missing or empty ──> a new one, and an alarm if there had been samples
//	written by a newer version, or the database of another program ──> refused, nothing is changed
//	damaged ──> set aside, and a new one with every record that can be found in it
func (s *Spool) open() error {
	found := s.Opening()
	warn, err := durable.SecureDir(filepath.Dir(s.path), s.besideSpool)
	if err != nil {
		return err
	}
	found.warn(warn)
	unlockNames, err := files.LockNames(s.path)
	if err != nil {
		return err
	}
	defer unlockNames()
	mark, err := format.ReadWatermark(s.path)
	if err != nil {
		found.warn(err.Error())
	}
	file, err := s.lockFile(&found)
	if errors.Is(err, fs.ErrNotExist) { // a power cut may have come between the two names of a salvage
		if err = files.AdoptSalvaged(s.path); err == nil {
			file, err = s.lockFile(&found)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		if mark.Reserved == 0 && s.watermark.Reserved > 0 {
			return errUnmounted
		}
		if mark.Reserved > 0 {
			found.Vanished, found.At = true, now()
		}
		if err = createSpool(s.path, mark.Reserved); err == nil {
			file, err = s.lockFile(&found)
		}
	}
	if err != nil {
		return err
	}
	err = s.attach(file)
	if d, ok := errors.AsType[*salvage.Damaged](err); ok {
		if err = s.salvage(file, d, mark, &found); err == nil {
			if file, err = s.lockFile(&found); err == nil {
				err = s.attach(file)
			}
		}
	}
	if err == nil {
		found.warn(files.RemoveLeftovers(s.path))
		found.warn(files.RemoveDamaged(s.path))
		s.refresh()
		s.watermark = mark
		s.opening.Store(&found)
		s.updateWatermark()
	}
	return err
}

// besideSpool reports whether a file of that name in the directory of the spool is one that the edge keeps there.
func (s *Spool) besideSpool(name string) bool {
	return strings.HasPrefix(name, filepath.Base(s.path)) || strings.HasPrefix(name, "health.json") || name == "edge.sock"
}

// lockFile opens the file and takes its lock, so that no other process has it open. An empty file is removed, and treated as
// missing: bbolt would make a spool in it that a power cut can break.
func (s *Spool) lockFile(found *Opening) (*os.File, error) {
	file, warn, err := durable.Open(s.path)
	if err != nil {
		return nil, err
	}
	found.warn(warn)
	err = files.LockWithin(file, files.LockWait)
	if err == nil && !stillNamed(file, s.path) { // the file was replaced by a compact copy while this process waited for its lock, see compact
		err = bolterrors.ErrTimeout
	}
	if err == nil && s.attempts > 0 {
		if err = file.Sync(); err == nil {
			err = durable.DropPageCache(file)
		}
	}
	var info fs.FileInfo
	if err == nil {
		info, err = file.Stat()
	}
	if err == nil && info.Size() == 0 {
		if err = os.Remove(s.path); err == nil {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// attach opens file with bbolt if it is whole. The error is *salvage.Damaged if it is not.
func (s *Spool) attach(file *os.File) error {
	var found *salvage.Scan
	info, err := file.Stat()
	if err == nil {
		found, err = salvage.Examine(salvage.Watched(file, s.Busy), info.Size())
	}
	if err == nil {
		err = format.Catch(func() error {
			db, err := format.OpenBolt(file)
			if err != nil {
				return err
			}
			s.db, s.file = db, file
			return db.View(func(tx *bolt.Tx) error {
				s.committed = tx.ID()
				return s.load(tx)
			})
		})
		if err == nil {
			return nil
		}
		if !durable.FromSystem(err) && !errors.Is(err, format.ErrNewer) && !isErrno(err, syscall.ENOMEM) && !isErrno(err, syscall.EIO) { // bbolt returns these as text only
			err = &salvage.Damaged{Why: err, Scan: found} // then the scan missed it
		}
	}
	s.db, s.file = nil, nil
	if _, keep := errors.AsType[*salvage.Damaged](err); !keep { // a damaged file stays open to be salvaged
		durable.Unlock(file)
		file.Close()
	}
	return err
}

// abandon closes the database. After a panic inside of bbolt its locks may be held indefinitely, so that it cannot close:
// then the file is closed below it, and its mapping stays until the process ends.
func (s *Spool) abandon(crashed bool) {
	db, file := s.db, s.file
	if s.db, s.file = nil, nil; db == nil {
		return
	}
	durable.Unlock(file)
	if crashed || format.Catch(db.Close) != nil {
		file.Close()
	}
}

// Opening returns what was found wrong since the process started.
func (s *Spool) Opening() Opening {
	if o := s.opening.Load(); o != nil {
		return *o
	}
	return Opening{}
}

// Alarm returns err if there is one, else the fault of a spool that is not open, else, for an hour, the fault of a spool
// that was found damaged or missing.
func (s *Spool) Alarm(err error) error {
	o := s.Opening()
	if closed := s.Closed(); err == nil && closed != nil {
		return WriteFault(closed)
	}
	if err != nil || o.At.IsZero() || now().Sub(o.At) > alarmFor {
		return err
	}
	if o.Aside == "" {
		return &health.Fault{
			Code: "spool_vanished", What: "the spool " + s.path + " had vanished",
			Why:  "it was missing or empty although it had held samples; what was waiting in it is lost unless it is put back",
			Next: "find out who removes files in " + filepath.Dir(s.path) + ", and check the disk",
		}
	}
	return &health.Fault{
		Code: "spool_salvaged", What: fmt.Sprintf("the spool was damaged: %d samples salvaged, %d unreadable", o.Salvaged, o.Unreadable),
		Why:  o.Damage,
		Next: "check the disk; " + o.Aside + " is the damaged file: the newest two are kept",
	}
}

func (o *Opening) warn(text string) {
	if text != "" && !slices.Contains(o.Warnings, text) {
		o.Warnings = append(o.Warnings[:len(o.Warnings):len(o.Warnings)], text)
	}
}
