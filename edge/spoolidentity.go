package edge

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// identityKey is where the spool's bucket meta has the Identity of a device id: the CRC-32C of its JSON, and the JSON.
// Programs that do not know it leave it alone.
func identityKey(device string) []byte { return []byte("inverter/" + device) }

// Identity returns the inverter that belongs to a device id, the zero Identity if none is known, or if what is known of it
// is damaged: then it is found again by the first reading.
func (s *Spool) Identity(device string) (id Identity, err error) {
	err = s.do(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			id = decodeIdentity(tx.Bucket(metaBucket).Get(identityKey(device)))
			return nil
		})
	})
	return id, err
}

// SetIdentity makes id durable as the inverter that belongs to a device id.
func (s *Spool) SetIdentity(device string, id Identity) error {
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	value := append(binary.BigEndian.AppendUint32(nil, crc32.Checksum(text, castagnoli)), text...)
	return s.do(func() error {
		return s.commitAcks(func(tx *bolt.Tx) error {
			meta := tx.Bucket(metaBucket)
			if bytes.Equal(meta.Get(identityKey(device)), value) {
				return nil
			}
			return meta.Put(identityKey(device), value)
		})
	})
}

func decodeIdentity(value []byte) (id Identity) {
	if len(value) < 4 || crc32.Checksum(value[4:], castagnoli) != binary.BigEndian.Uint32(value) {
		return Identity{}
	}
	if json.Unmarshal(value[4:], &id) != nil {
		return Identity{}
	}
	return id
}
