package format

import (
	"errors"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/internal/durable"
)

const (
	// PageSize is not the host's: a kernel with pages of 16 kB would make each commit four times as expensive. Smaller
	// than a sector of 4 kB it must not be either: a torn write would then hit pages that were not written.
	pageSize  = 4096
	AllocSize = 1 << 20 // by which bbolt grows the file; also what stays preallocated ahead of the last sample
)

// OpenBolt opens the database in a file that is open and locked.
func OpenBolt(file *os.File) (*bolt.DB, error) {
	db, err := bolt.Open(file.Name(), 0o600, &bolt.Options{
		Timeout:      2 * time.Second, // for the lock
		FreelistType: bolt.FreelistMapType,
		PageSize:     pageSize,
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return file, nil },
	})
	if err != nil {
		return nil, err
	}
	db.AllocSize = AllocSize // grow in small steps: other programs need the disk, too
	return db, nil
}

// Write makes a file with empty buckets and what fill puts into it. It is on the disk when the error is nil.
func Write(path string, fill func(*bolt.DB) error) error {
	file, err := durable.Create(path, 0o600)
	if err != nil {
		return err
	}
	db, err := OpenBolt(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range Buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return PutNumber(tx.Bucket(MetaBucket), SchemaKey, Schema)
	})
	if err == nil {
		err = fill(db)
	}
	return errors.Join(err, db.Close())
}

// WriteEmpty makes a file without samples whose first number is the one after last.
func WriteEmpty(path string, last uint64) error {
	return Write(path, func(db *bolt.DB) error { return db.Update(SetNumbers(last, last)) })
}
