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
)

// OpenSpool opens the spool at path, or creates it. Its directory is made if it is missing. The error is a
// *health.Fault that says what the operator can do.
func OpenSpool(path string) (*Spool, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, spoolFault(path, err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := createSpool(path); err != nil {
			return nil, spoolFault(path, err)
		}
	}
	s := &Spool{path: path, ops: make(chan func()), quit: make(chan struct{})}
	go s.own()
	err := s.do(func() error {
		db, err := openBolt(path)
		if err != nil {
			return err
		}
		s.db = db
		if err := db.View(s.load); err != nil {
			return err
		}
		removeLeftovers(path)
		s.settleIn()
		return nil
	})
	if err != nil {
		if s.db != nil {
			s.do(s.db.Close)
		}
		close(s.quit)
		return nil, spoolFault(path, err)
	}
	return s, nil
}

func openBolt(path string) (*bolt.DB, error) {
	var file *os.File
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:      2 * time.Second, // for the lock
		FreelistType: bolt.FreelistMapType,
		PageSize:     pageSize,
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			file, err = os.OpenFile(name, flag, mode)
			return file, err
		},
	})
	if err != nil {
		return nil, err
	}
	if !stillNamed(file, path) { // what we waited for was replaced by a compact copy meanwhile, see compact
		return nil, errors.Join(bolterrors.ErrTimeout, db.Close())
	}
	db.AllocSize = allocSize // grow in small steps: the disk is not ours alone
	return db, nil
}

// createSpool makes an empty spool. A power cut inside bbolt's own first write leaves a file that cannot be opened, so
// that write goes to another name, and the file gets its own when it is whole and on the disk.
func createSpool(path string) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := openBolt(fresh)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return putNumber(tx.Bucket(metaBucket), schemaKey, spoolSchema)
	})
	if err := errors.Join(err, db.Close()); err != nil {
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
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in dir durable, which bbolt never does.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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
	s.waiting.Store(int64(samples.Sequence() - number(meta, settledKey)))
	s.quarantined.Store(int64(quarantine.Stats().KeyN))
	return nil
}

// spoolFault says what an operator can do about a spool that does not open.
func spoolFault(path string, err error) error {
	f := &health.Fault{Code: "spool_unusable", What: "cannot open the spool " + path, Why: err.Error(), Err: err}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		f.Code, f.Exit = "spool_locked", health.ExitBusy
		f.Why = "another process has it open" + lockHolder(path)
		f.Next = "stop the other sunspool edge, or give this one its own SPOOL_PATH"
	case errors.Is(err, errNewerSpool):
		f.Code, f.Exit = "spool_newer", health.ExitConfig
		f.Next = "install the version that wrote it, or a later one; nothing was changed"
	case errors.Is(err, os.ErrPermission):
		f.Exit = health.ExitConfig
		f.Next = "give the user of this service write access to " + filepath.Dir(path)
	default:
		f.Next = "check the disk and the file; nothing was changed"
	}
	return f
}
