package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"sunspool/edge/spool/format"
	"time"

	bolt "go.etcd.io/bbolt"
)

// touchKey is when the dongle was last touched before the newest sample was made: the number of the boot, 4 bytes, and the
// nanoseconds since then, 8 bytes.
var touchKey = []byte("touch")

// noteTouch stores the last touch in the commit of the sample, so that it costs no commit of its own.
func noteTouch(tx *bolt.Tx, w When) error {
	if w.Boot == 0 || w.Touched <= 0 {
		return nil
	}
	value := binary.BigEndian.AppendUint32(nil, w.Boot)
	return tx.Bucket(format.MetaBucket).Put(touchKey, binary.BigEndian.AppendUint64(value, uint64(w.Touched)))
}

// LastTouch returns the last touch that was committed, if it was in the boot of that id, else 0.
func (s *Spool) LastTouch(bootID string) (touched time.Duration) {
	_ = s.exec(func() error { // after an error the first poll only comes a little later
		return s.db.View(func(tx *bolt.Tx) error {
			value := tx.Bucket(format.MetaBucket).Get(touchKey)
			if len(value) != 12 {
				return nil
			}
			boot := format.DecodeBoot(tx.Bucket(format.BootsBucket).Get(format.Key(uint64(binary.BigEndian.Uint32(value)))))
			if boot.ID == bootID && bootID != "" {
				touched = time.Duration(binary.BigEndian.Uint64(value[4:]))
			}
			return nil
		})
	})
	return touched
}

// A note is in the bucket meta: the CRC-32C of its JSON, and the JSON. Versions without the key leave it unchanged.

// ReadNote decodes what is under key into v, which stays as it is if that is nothing, or is damaged.
func (s *Spool) ReadNote(key string, v any) error {
	return s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			value := tx.Bucket(format.MetaBucket).Get([]byte(key))
			if len(value) >= 4 && crc32.Checksum(value[4:], format.Castagnoli) == binary.BigEndian.Uint32(value) {
				json.Unmarshal(value[4:], v) // it has a checksum: what does not fit was written by another version
			}
			return nil
		})
	})
}

// WriteNote makes v durable under key.
func (s *Spool) WriteNote(key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	value := append(binary.BigEndian.AppendUint32(nil, crc32.Checksum(text, format.Castagnoli)), text...)
	return s.exec(func() error {
		return s.commitAcks(func(tx *bolt.Tx) error {
			meta := tx.Bucket(format.MetaBucket)
			if bytes.Equal(meta.Get([]byte(key)), value) {
				return nil
			}
			return meta.Put([]byte(key), value)
		})
	})
}
