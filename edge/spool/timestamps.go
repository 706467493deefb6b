package spool

import (
	"bytes"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/wire"
)

// The server keys samples by device and timestamp, and silently drops a second sample with the same timestamp. So the
// spool never uses a timestamp twice. As long as time only grows, knowing the newest is enough. When a clock that was
// ahead is corrected, the true times lie among timestamps that were used before. These are known from the samples in the
// spool and, for those that left it, from a bounded list that Settle appends to.
const (
	clockSlack = 2 * time.Second // a clock that goes back by less was not set: the sample is moved after the last one
	MaxAhead   = wire.MaxAhead
	usedSpan   = 96 * time.Hour
	batchSize  = 500 // samples in one transaction that assigns or clears timestamps, 300 kB
)

// nextFreeTimestamp moves t to the next millisecond that no sample has used, and marks it as used.
func (s *Spool) nextFreeTimestamp(tx *bolt.Tx, t *time.Time) error {
	meta := tx.Bucket(format.MetaBucket)
	last, newest := int64(format.Number(meta, format.LastKey)), int64(format.Number(meta, format.NewestKey))
	ms := t.UnixMilli()
	if ms <= last && last-ms < clockSlack.Milliseconds() {
		ms = last + 1
	}
	if ms > newest {
		s.used = nil
	} else if err := s.loadUsed(tx, ms); err != nil {
		return err
	}
	for s.used[ms] {
		ms++
	}
	if s.used != nil {
		s.used[ms] = true
	}
	*t = time.UnixMilli(ms).UTC()
	if err := format.PutNumber(meta, format.LastKey, uint64(ms)); err != nil {
		return err
	}
	if ms <= newest {
		return nil
	}
	tx.OnCommit(func() { s.newest.Store(ms) })
	return format.PutNumber(meta, format.NewestKey, uint64(ms))
}

// loadUsed loads into s.used every timestamp used from ms on, up to the end of the span that a sample made now can reach.
func (s *Spool) loadUsed(tx *bolt.Tx, ms int64) error {
	if s.used != nil && ms >= s.usedFrom && ms < s.usedFrom+usedSpan.Milliseconds()/2 {
		return nil
	}
	s.used, s.usedFrom = make(map[int64]bool), ms
	until := ms + usedSpan.Milliseconds()
	return format.EachUsed(tx, func(at int64) {
		if at >= ms && at < until {
			s.used[at] = true
		}
	})
}

// Retract clears the timestamps of samples that lie further ahead of the true time than the server accepts: the clock was
// wrong. None of them can be on the server, so they may get other timestamps. It returns how many they are.
//
// They move some hundreds per transaction: that bounds the memory, and other work is done in between. What a crash leaves
// is moved the next time that the server refuses such a sample.
func (s *Spool) Retract(truth time.Time) (total int, err error) {
	limit := truth.Add(MaxAhead)
	next := format.Key(0)
	for more := s.newest.Load() > limit.UnixMilli(); more && err == nil; {
		err = s.exec(func() error {
			var found []bucketEntry
			err := s.commitAcks(func(tx *bolt.Tx) error {
				samples, undated := tx.Bucket(format.SamplesBucket), tx.Bucket(format.UndatedBucket)
				found = firstOf(samples, next, batchSize, func(k, v []byte) bool {
					r, err := format.DecodeFields(format.Seq(k), v)
					return err == nil && r.Sample.Time.After(limit)
				})
				for _, p := range found {
					if err := undated.Put(p.key, format.ClearTimestamp(p.value)); err != nil {
						return err
					}
					if err := samples.Delete(p.key); err != nil {
						return err
					}
				}
				if len(found) == batchSize {
					return nil
				}
				return s.rebuildUsed(tx)
			})
			if err != nil {
				return err
			}
			if more = len(found) == batchSize; more {
				next = found[len(found)-1].key
			}
			total += len(found)
			s.undated.Add(int64(len(found)))
			s.redated.Add(int64(len(found)))
			return nil
		})
	}
	return total, err
}

// bucketEntry is an entry of a bucket, copied.
type bucketEntry struct{ key, value []byte }

// firstOf returns the first entries of b from a key on that match, up to most: a bucket must not be changed while a
// cursor is on it.
func firstOf(b *bolt.Bucket, from []byte, most int, match func(k, v []byte) bool) (found []bucketEntry) {
	c := b.Cursor()
	for k, v := c.Seek(from); k != nil && len(found) < most; k, v = c.Next() {
		if match(k, v) {
			found = append(found, bucketEntry{bytes.Clone(k), bytes.Clone(v)})
		}
	}
	return found
}

// Redated is how many timestamps were cleared by Retract since the spool was opened.
func (s *Spool) Redated() int64 { return s.redated.Load() }

// rebuildUsed finds the newest used timestamp again, after some were cleared.
func (s *Spool) rebuildUsed(tx *bolt.Tx) error {
	var newest int64
	if err := format.EachUsed(tx, func(ms int64) { newest = max(newest, ms) }); err != nil {
		return err
	}
	s.used = nil
	tx.OnCommit(func() { s.newest.Store(newest) })
	meta := tx.Bucket(format.MetaBucket)
	if err := format.PutNumber(meta, format.LastKey, uint64(newest)); err != nil {
		return err
	}
	return format.PutNumber(meta, format.NewestKey, uint64(newest))
}
