package edge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/health"
	"sunspool/internal/durable"
)

// OpenSpool opens the spool at path, or creates it. Its directory is made if it is missing. The error is a
// *health.Fault that says what the operator can do.
func OpenSpool(path string) (*Spool, error) {
	s := newSpool(path, nil)
	if err := s.first(); err != nil {
		close(s.quit)
		return nil, spoolFault(path, err)
	}
	return s, nil
}

// newSpool returns the spool at path, whose file is not open yet.
func newSpool(path string, busy func(most time.Duration)) *Spool {
	s := &Spool{Busy: busy, path: path, ops: make(chan func()), quit: make(chan struct{})}
	s.lost = make(chan struct{})
	go s.own()
	return s
}

// openBolt lets bbolt have a file that is open and locked.
func openBolt(file *os.File) (*bolt.DB, error) {
	db, err := bolt.Open(file.Name(), 0o600, &bolt.Options{
		Timeout:      2 * time.Second, // for the lock
		FreelistType: bolt.FreelistMapType,
		PageSize:     pageSize,
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return file, nil },
	})
	if err != nil {
		return nil, err
	}
	db.AllocSize = allocSize // grow in small steps: the disk is not ours alone
	return db, nil
}

// createSpool makes an empty spool whose first number is the one after last. A power cut inside bbolt's own first write
// leaves a file that cannot be opened, so that write goes to another name, and the file gets its own when it is whole
// and on the disk.
func createSpool(path string, last uint64) error {
	fresh := path + ".new"
	if err := emptySpool(fresh, last); err != nil {
		remove(fresh) // on a disk that is full it would take what is left
		return err
	}
	// A link, not a rename: another process may have made the spool meanwhile, and its samples are not ours to drop.
	if err := os.Link(fresh, path); errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil { // a filesystem without links
		if err := os.Rename(fresh, path); err != nil {
			return err
		}
	}
	return errors.Join(remove(fresh), durable.SyncDir(filepath.Dir(path)))
}

// remove removes the file at path, if there is one.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// writeSpool makes a file with empty buckets and what fill puts into it. It is on the disk when the error is nil.
func writeSpool(path string, fill func(*bolt.DB) error) error {
	file, err := durable.Create(path, 0o600)
	if err != nil {
		return err
	}
	db, err := openBolt(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return putNumber(tx.Bucket(metaBucket), schemaKey, spoolSchema)
	})
	if err == nil {
		err = fill(db)
	}
	return errors.Join(err, db.Close())
}

// emptySpool makes a file without samples whose first number is the one after last.
func emptySpool(path string, last uint64) error {
	return writeSpool(path, func(db *bolt.DB) error { return db.Update(numbered(last, last)) })
}

var errNewerSpool = errors.New("written by a newer version")

// load checks the schema and counts.
func (s *Spool) load(tx *bolt.Tx) error {
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return errors.New("not a spool of sunspool")
		}
	}
	meta, samples, quarantine := tx.Bucket(metaBucket), tx.Bucket(samplesBucket), tx.Bucket(quarantineBucket)
	if v := number(meta, schemaKey); v > spoolSchema {
		return fmt.Errorf("%w: schema %d, this program knows %d", errNewerSpool, v, spoolSchema)
	}
	s.acks.clear() // what the server has and the file still holds is sent again
	s.waiting.Store(int64(samples.Sequence() - number(meta, settledKey)))
	s.quarantined.Store(int64(quarantine.Stats().KeyN))
	return s.loadDating(tx)
}

// spoolFault says what an operator can do about a spool that does not open.
func spoolFault(path string, err error) error {
	f := &health.Fault{Code: "spool_unusable", What: "cannot open the spool " + path, Why: err.Error(), Err: err}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		f.Code, f.Exit = "spool_locked", health.ExitBusy
		f.Why = "another process has it open" + spoolHolder(path)
		f.Next = "stop the other edge, or give this one its own SPOOL_PATH"
	case errors.Is(err, errNewerSpool):
		f.Code, f.Exit = "spool_newer", health.ExitConfig
		f.Next = "install the version that wrote it, or a later one; nothing was changed"
	case errors.Is(err, errForeign):
		f.Code, f.Exit = "spool_foreign", health.ExitConfig
		f.Next = "give the spool a SPOOL_PATH of its own; nothing was changed"
	case errors.Is(err, durable.ErrNotOurs):
		f.Code, f.Exit = "spool_not_ours", health.ExitConfig
		f.Next = "look who put it there, and remove it if it is not wanted; nothing was changed"
	case errors.Is(err, os.ErrPermission):
		f.Exit, f.Why = health.ExitConfig, f.Why+belongs(path)
		f.Next = "give the user of this service write access to " + filepath.Dir(path)
	default:
		f.Next = "check the disk and the file; nothing was changed"
	}
	return f
}

// belongs names the owner of the file at path, or of the directory that it must be made in, where that is another user
// than the one of this process.
func belongs(path string) string {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil && path != filepath.Dir(path) {
			continue
		}
		if err != nil {
			return ""
		}
		if owner, ok := durable.OwnerOf(info); ok && owner != os.Geteuid() {
			return fmt.Sprintf("; %s belongs to user %d, this is user %d", path, owner, os.Geteuid())
		}
		if info.IsDir() {
			return ""
		}
	}
}
