package edge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/health"
	"sunspool/wire"
)

// A record is a version byte, the CRC-32C of all that follows it, the sequence number, and the packed sample: bbolt
// checks only its own first pages, and a bit that flips anywhere else must not become a measurement. The number is in
// the record too, so that records found in a damaged file can be told apart.
const (
	recordVersion = 1
	recordHeader  = 1 + 4 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeRecord(seq uint64, s *wire.Sample) []byte {
	b := make([]byte, recordHeader, recordHeader+512)
	b[0] = recordVersion
	binary.BigEndian.PutUint64(b[5:], seq)
	b = s.AppendPacked(b)
	binary.BigEndian.PutUint32(b[1:], crc32.Checksum(b[5:], castagnoli))
	return b
}

// decodeRecord returns the sample in b, which keeps no reference to b.
func decodeRecord(seq uint64, b []byte) (Record, error) {
	switch {
	case len(b) < recordHeader:
		return Record{}, fmt.Errorf("record of %d bytes", len(b))
	case b[0] != recordVersion:
		return Record{}, fmt.Errorf("record version %d, this program knows %d", b[0], recordVersion)
	case crc32.Checksum(b[5:], castagnoli) != binary.BigEndian.Uint32(b[1:]):
		return Record{}, errors.New("checksum does not match")
	case binary.BigEndian.Uint64(b[5:]) != seq:
		return Record{}, fmt.Errorf("record %d under number %d", binary.BigEndian.Uint64(b[5:]), seq)
	}
	r := Record{Seq: seq}
	if err := r.Sample.Unpack(b[recordHeader:]); err != nil {
		return Record{}, err
	}
	return r, nil
}

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
		return db.View(s.load)
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
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:      2 * time.Second, // for the lock
		FreelistType: bolt.FreelistMapType,
	})
	if err != nil {
		return nil, err
	}
	db.AllocSize = 1 << 20 // grow in small steps: the disk is not ours alone
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
		for _, name := range [][]byte{samplesBucket, quarantineBucket, metaBucket} {
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
	meta, samples, quarantine := tx.Bucket(metaBucket), tx.Bucket(samplesBucket), tx.Bucket(quarantineBucket)
	if meta == nil || samples == nil || quarantine == nil {
		return errors.New("not a spool of sunspool")
	}
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
