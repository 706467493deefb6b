package spool

import (
	"maps"
	"slices"
	"sunspool/edge/spool/format"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

// ackLater is how many acks may wait for the next sample.
const ackLater = 100

// acks are the numbers of samples that the server has and that are still in the file: they are deleted with the next
// commit, which costs a memory card a third less than a commit of their own. After a crash before that they are sent again,
// which is normal. Only the goroutine that owns the file uses them; count may be read from any.
type acks struct {
	seqs  map[uint64]struct{}
	count atomic.Int64
}

// has reports whether the server has a sample that is still in the file.
func (a *acks) has(seq uint64) bool {
	_, ok := a.seqs[seq]
	return ok
}

// hold adds the numbers in stored that are in tx. It returns false, and adds none, if that would be too many or if space
// is needed now.
func (a *acks) hold(tx *bolt.Tx, stored []uint64, full bool) bool {
	if len(a.seqs)+len(stored) > ackLater || full {
		return false
	}
	if a.seqs == nil {
		a.seqs = make(map[uint64]struct{})
	}
	samples := tx.Bucket(format.SamplesBucket)
	for _, seq := range stored {
		if samples.Get(format.Key(seq)) != nil {
			a.seqs[seq] = struct{}{}
		}
	}
	a.count.Store(int64(len(a.seqs)))
	return true
}

// list returns the numbers. They are removed by clear, when the commit that deleted them is durable.
func (a *acks) list() []uint64 { return slices.Collect(maps.Keys(a.seqs)) }

func (a *acks) clear() {
	clear(a.seqs)
	a.count.Store(0)
}

// deleteSettled deletes the samples that the server has and returns how many of them were there.
func deleteSettled(tx *bolt.Tx, stored []uint64) (left int, err error) {
	var times []int64
	for _, seq := range stored {
		for _, name := range [][]byte{format.SamplesBucket, format.UndatedBucket} { // undated: those of a commit that is repeated
			record := tx.Bucket(name).Get(format.Key(seq))
			if record == nil {
				continue
			}
			if r, err := format.DecodeFields(seq, record); err == nil {
				times = append(times, r.Sample.Time.UnixMilli())
			}
			if err := tx.Bucket(name).Delete(format.Key(seq)); err != nil {
				return 0, err
			}
			left++
		}
	}
	if left == 0 {
		return 0, nil
	}
	if err := format.AddUsed(tx, times); err != nil {
		return 0, err
	}
	meta := tx.Bucket(format.MetaBucket)
	return left, format.PutNumber(meta, format.SettledKey, format.Number(meta, format.SettledKey)+uint64(left))
}
