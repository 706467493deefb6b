package edge

import (
	"encoding/binary"
	"errors"

	bolt "go.etcd.io/bbolt"
)

var (
	samplesBucket    = []byte("samples")    // sequence number, big-endian ──> record
	undatedBucket    = []byte("undated")    // the same, of samples whose time is not known yet
	quarantineBucket = []byte("quarantine") // the same key ──> JSON of quarantineEntry
	bootsBucket      = []byte("boots")      // number, big-endian ──> what is known of that boot's clock
	metaBucket       = []byte("meta")       // the keys below, 8 bytes each; small, so it rides in the page of the root

	buckets = [][]byte{samplesBucket, undatedBucket, quarantineBucket, bootsBucket, givenBucket, metaBucket}

	schemaKey  = []byte("schema")
	settledKey = []byte("settled") // how many samples ever left the samples bucket
	lastTSKey  = []byte("last_ts") // last time given to a sample, Unix ms
)

const spoolSchema = 1

var errNewerSpool = errors.New("written by a newer version")

var errForeign = errors.New("the database of another program")

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func keySeq(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

func number(b *bolt.Bucket, key []byte) uint64 {
	v := b.Get(key)
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func putNumber(b *bolt.Bucket, key []byte, n uint64) error {
	return b.Put(key, binary.BigEndian.AppendUint64(nil, n))
}

// numbered sets the last number that was given, and how many of them have left.
func numbered(last, settled uint64) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		return errors.Join(tx.Bucket(samplesBucket).SetSequence(last), putNumber(tx.Bucket(metaBucket), settledKey, settled))
	}
}
