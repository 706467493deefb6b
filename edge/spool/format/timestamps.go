package format

import (
	"encoding/binary"
	"encoding/json"

	bolt "go.etcd.io/bbolt"
)

// The timestamps of samples that left the spool are kept in a list of bounded length:
//
//	meta "given"  the last few, so that a commit writes no additional page for them
//	given         number ──> some 190 times, moved here when they are full; the oldest is dropped

const (
	chunkBytes = 384 // small enough that meta, with its other keys, stays inside the page of the root
	usedChunks = 200 // 48 h and more at the fastest poll
)

var (
	usedBucket   = []byte("given")
	usedKey      = []byte("given")
	NewestKey    = []byte("newest_ts") // latest timestamp ever used, Unix ms
	EstimatedKey = []byte("estimated") // how many samples were placed by estimation
)

// EachUsed calls f with the timestamps of all samples in the spool and of those that left it recently.
func EachUsed(tx *bolt.Tx, f func(ms int64)) error {
	times := func(_, packed []byte) error {
		for _, ms := range unpackTimes(packed) {
			f(ms)
		}
		return nil
	}
	if err := tx.Bucket(usedBucket).ForEach(times); err != nil {
		return err
	}
	times(nil, tx.Bucket(MetaBucket).Get(usedKey))
	record := func(k, v []byte) {
		if r, err := DecodeFields(binary.BigEndian.Uint64(k), v); err == nil && r.When.Quality != Undated {
			f(r.Sample.Time.UnixMilli())
		}
	}
	if err := tx.Bucket(SamplesBucket).ForEach(func(k, v []byte) error { record(k, v); return nil }); err != nil {
		return err
	}
	return tx.Bucket(QuarantineBucket).ForEach(func(k, v []byte) error {
		var e Entry
		if json.Unmarshal(v, &e) == nil {
			record(k, e.Record)
		}
		return nil
	})
}

// AddUsed stores the timestamps of samples that leave the spool.
func AddUsed(tx *bolt.Tx, times []int64) error {
	if len(times) == 0 {
		return nil
	}
	meta := tx.Bucket(MetaBucket)
	packed := append([]byte(nil), meta.Get(usedKey)...)
	known := unpackTimes(packed)
	var last int64
	if len(known) > 0 {
		last = known[len(known)-1]
	}
	for _, ms := range times {
		packed = binary.AppendVarint(packed, ms-last)
		last = ms
		if len(packed) < chunkBytes {
			continue
		}
		used := tx.Bucket(usedBucket)
		n, err := used.NextSequence()
		if err != nil {
			return err
		}
		if err := used.Put(Key(n), packed); err != nil {
			return err
		}
		if n > usedChunks {
			if err := used.Delete(Key(n - usedChunks)); err != nil {
				return err
			}
		}
		packed, last = nil, 0
	}
	return meta.Put(usedKey, packed)
}

// unpackTimes reads what AddUsed wrote: each time as the difference to the one before.
func unpackTimes(packed []byte) (times []int64) {
	var ms int64
	for len(packed) > 0 {
		d, n := binary.Varint(packed)
		if n <= 0 {
			return times
		}
		ms += d
		times, packed = append(times, ms), packed[n:]
	}
	return times
}
