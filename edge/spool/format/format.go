// Package format is what a spool file holds: the buckets of the database, their keys, and how records, boots, used
// timestamps and quarantine entries are encoded. Each function reads or changes one transaction; what happens to a file
// over time is in package spool.
//
//	samples     number ──> record              that can be sent
//	undated     number ──> record              whose time is not known yet
//	quarantine  number ──> Entry, as JSON      that the server refused
//	boots       number ──> Boot, as JSON       one run of the host, and its clock
//	given       number ──> packed timestamps   used by samples that left the spool
//	meta        counters, and the notes of the edge
//
// Beside the file is its Watermark, which proves that there was a spool and has the numbers that it may have used.
package format

import (
	"encoding/binary"
	"errors"

	bolt "go.etcd.io/bbolt"
)

var (
	SamplesBucket    = []byte("samples")    // sequence number, big-endian ──> record
	UndatedBucket    = []byte("undated")    // the same, of samples whose time is not known yet
	QuarantineBucket = []byte("quarantine") // the same key ──> JSON of Entry
	BootsBucket      = []byte("boots")      // number, big-endian ──> JSON of Boot
	MetaBucket       = []byte("meta")       // the keys below, 8 bytes each; small, so it is stored in the page of the root

	Buckets = [][]byte{SamplesBucket, UndatedBucket, QuarantineBucket, BootsBucket, usedBucket, MetaBucket}

	SchemaKey  = []byte("schema")
	SettledKey = []byte("settled") // how many samples ever left the samples bucket
	LastKey    = []byte("last_ts") // last timestamp used, Unix ms
)

const Schema = 1

var ErrNewer = errors.New("written by a newer version")

var ErrForeign = errors.New("the database of another program")

func Key(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func Seq(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

func Number(b *bolt.Bucket, key []byte) uint64 {
	v := b.Get(key)
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func PutNumber(b *bolt.Bucket, key []byte, n uint64) error {
	return b.Put(key, binary.BigEndian.AppendUint64(nil, n))
}

// SetNumbers sets the last number that was used, and how many samples have left.
func SetNumbers(last, settled uint64) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		return errors.Join(tx.Bucket(SamplesBucket).SetSequence(last), PutNumber(tx.Bucket(MetaBucket), SettledKey, settled))
	}
}
