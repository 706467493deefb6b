package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"sunspool/health"
	"sunspool/internal/durable"

	"sunspool/vps/store"
)

// FileName is the name of the store in a DATA_DIR.
const FileName = "vps.db"

// The meta bucket identifies the file. A new schema has a higher number, and a program refuses what is above its own:
// raise it also when wire.Fields grows, because an older program cannot compute rollups from such samples. Schema 3 has
// intervals in samples, and for each device its greatest power and how far its rollups are counted.
const fileSchema = 3

var (
	kindKey   = []byte("kind")
	kind      = []byte("sunspool samples")
	schemaKey = []byte("schema")
	checkKey  = []byte("check")
)

const (
	damagedCode = "store_damaged"
	lockTimeout = 2 * time.Second
	allocSize   = 4 << 20 // the file grows in these steps, each of which flushes the file system's journal
	maxSize32   = 512 << 20
)

// options of the file. The freelist is on the disk, so that damage is found where it can be caught, not in a goroutine of
// bbolt's own.
func options() *bbolt.Options {
	o := &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType}
	if strconv.IntSize == 32 {
		o.MaxSize = maxSize32 // beyond 1 GiB the address space has no gap for the map, and bbolt stays unusable
	}
	return o
}

// createFile makes an empty store at path if there is none. It appears there complete or not at all: bbolt's own first writes
// are not safe against a power cut. If two processes do it at once, the file of the first one is used.
func createFile(path string) error {
	_, err := os.Stat(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return nil // it exists, or openFile finds the same error
	}
	if err := makeFile(path); err != nil {
		return &health.Fault{
			Code: "store_not_created", What: "cannot create " + path, Err: err, Exit: health.ExitConfig,
			Next: "let DATA_DIR name a directory on a disk with space that the user of this process may write",
		}
	}
	return nil
}

func makeFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	if err := initFile(temp.Name()); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	switch err := os.Link(temp.Name(), path); { // a rename would replace the file that another process made and uses
	case errors.Is(err, fs.ErrExist):
	case err != nil: // no hard links on this file system
		if err := os.Rename(temp.Name(), path); err != nil {
			return err
		}
	}
	return errors.Join(durable.SyncDir(dir), durable.SyncDir(filepath.Dir(dir)))
}

func initFile(path string) error {
	db, err := bbolt.Open(path, 0o600, options())
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(devicesBucket)
		meta, err2 := tx.CreateBucket(metaBucket)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		return errors.Join(meta.Put(kindKey, kind), meta.Put(schemaKey, strconv.AppendInt(nil, fileSchema, 10)))
	})
	return errors.Join(err, db.Close())
}

// openFile opens the file at path and checks that it is a whole store that this program can read. One of an earlier version is
// brought to this one.
func openFile(path string) (*bbolt.DB, error) {
	db, err := openWith(path, options())
	if err != nil {
		return nil, err
	}
	db.AllocSize = allocSize
	if err := upgraded(db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// upgraded is upgradeFile of a file that may be damaged.
func upgraded(db *bbolt.DB) (err error) {
	defer recoverDamage(db.Path(), &err)()
	return upgradeFile(db)
}

// openWith opens the file at path and checks that it is a whole store that this program can read.
func openWith(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
	var file *os.File
	defer func() {
		if err != nil && file != nil {
			file.Close() // bbolt leaves it open, and locked, when it panics; closing twice does nothing
		}
	}()
	defer recoverDamage(path, &err)()

	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		var err error
		file, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
		return file, err
	}
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		return nil, damage(path, "the file is empty") // bbolt would treat it as a new one
	}
	db, err = bbolt.Open(path, 0o600, o)
	switch _, isPath := errors.AsType[*fs.PathError](err); {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, &health.Fault{
			Code: "store_locked", What: "another sunspool vps holds " + path + durable.LockHolder(path), Exit: health.ExitBusy, Err: err,
			Why:  "one process at a time may have the file open",
			Next: "stop the other one (`fuser " + health.Quote(path) + "` names it), set DATA_DIR to another directory, or DATABASE_URL for several",
		}
	case isPath:
		return nil, &health.Fault{
			Code: "store_not_opened", What: "cannot open " + path, Err: err, Exit: health.ExitConfig,
			Next: "check that it is a file on a writable disk and that it belongs to the user of this process",
		}
	case err != nil:
		return nil, damage(path, err.Error())
	}
	if err = db.View(func(tx *bbolt.Tx) error { return checkMeta(tx, path, file) }); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func checkMeta(tx *bbolt.Tx, path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return damage(path, fmt.Sprintf("the file has %d of its %d bytes", info.Size(), tx.Size()))
	}
	meta := tx.Bucket(metaBucket)
	if meta == nil || !bytes.Equal(meta.Get(kindKey), kind) || tx.Bucket(devicesBucket) == nil {
		return damage(path, "it is a bbolt file, but not one of a sunspool vps")
	}
	schema, err := strconv.Atoi(string(meta.Get(schemaKey)))
	if err != nil {
		return damage(path, fmt.Sprintf("schema %q", meta.Get(schemaKey)))
	}
	if schema > fileSchema {
		return &health.Fault{
			Code: "store_newer", What: fmt.Sprintf("%s was written by a newer sunspool", path),
			Why:  fmt.Sprintf("its schema is %d, this program knows %d", schema, fileSchema),
			Next: "install that version again, or restore the backup from before the upgrade", Exit: health.ExitConfig,
		}
	}
	return nil
}

// damage returns the error of every reader and writer of a file that cannot be what bbolt wrote. It counts as unavailable:
// edges keep their samples until the operator has acted.
func damage(path, why string) error {
	return &health.Fault{
		Code: damagedCode, What: path + " is damaged or no sunspool store", Why: why, Err: store.ErrUnavailable,
		Next: "move it away and restore a backup; without one start with a new store, edges send what they still hold",
	}
}

func isDamage(err error) bool {
	f, ok := errors.AsType[*health.Fault](err)
	return ok && f.Code == damagedCode
}
