package spool

import (
	"bytes"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/wire"
)

// On the server a time of a device is one sample: a second sample with the same time would be dropped without a word.
// So the spool never gives a time twice. As long as time only grows, knowing the newest is enough. When a clock that
// was ahead is set right, true times lie among those that were given before; which these are is known from the samples
// in the spool, and for those that left it from a ring that Settle fills.
const (
	clockSlack = 2 * time.Second // a step back by less is no step: the sample is moved after the last one
	MaxAhead   = wire.MaxAhead
	givenSpan  = 96 * time.Hour
	moveAtOnce = 500 // samples in one transaction that gives or takes times, 300 kB
)

// unique moves t to a millisecond that no sample was given before, and remembers it.
func (s *Spool) unique(tx *bolt.Tx, t *time.Time) error {
	meta := tx.Bucket(format.MetaBucket)
	last, newest := int64(format.Number(meta, format.LastTSKey)), int64(format.Number(meta, format.NewestTSKey))
	ms := t.UnixMilli()
	if ms <= last && last-ms < clockSlack.Milliseconds() {
		ms = last + 1
	}
	if ms > newest {
		s.given = nil
	} else if err := s.learn(tx, ms); err != nil {
		return err
	}
	for s.given[ms] {
		ms++
	}
	if s.given != nil {
		s.given[ms] = true
	}
	*t = time.UnixMilli(ms).UTC()
	if err := format.PutNumber(meta, format.LastTSKey, uint64(ms)); err != nil {
		return err
	}
	if ms <= newest {
		return nil
	}
	tx.OnCommit(func() { s.newest.Store(ms) })
	return format.PutNumber(meta, format.NewestTSKey, uint64(ms))
}

// learn makes s.given hold every time that was ever given from ms on, as far as a sample made now can come there.
func (s *Spool) learn(tx *bolt.Tx, ms int64) error {
	if s.given != nil && ms >= s.givenFrom && ms < s.givenFrom+givenSpan.Milliseconds()/2 {
		return nil
	}
	s.given, s.givenFrom = make(map[int64]bool), ms
	until := ms + givenSpan.Milliseconds()
	return format.EachGiven(tx, func(given int64) {
		if given >= ms && given < until {
			s.given[given] = true
		}
	})
}

// Retract takes the times back of samples that lie further ahead of the true time than our server takes: a clock that
// was believed was wrong. None of them can be on the server, so they may be dated anew. It returns how many they are.
//
// They move some hundreds at a time: that bounds the memory, and other work gets its turn in between. What a crash leaves
// is moved the next time that the server refuses one.
func (s *Spool) Retract(truth time.Time) (total int, err error) {
	limit := truth.Add(MaxAhead)
	next := format.Key(0)
	for more := s.newest.Load() > limit.UnixMilli(); more && err == nil; {
		err = s.do(func() error {
			var found []bucketEntry
			err := s.commitAcks(func(tx *bolt.Tx) error {
				samples, undated := tx.Bucket(format.SamplesBucket), tx.Bucket(format.UndatedBucket)
				found = firstOf(samples, next, moveAtOnce, func(k, v []byte) bool {
					r, err := format.DecodeFields(format.Seq(k), v)
					return err == nil && r.Sample.Time.After(limit)
				})
				for _, p := range found {
					if err := undated.Put(p.key, format.Undate(p.value)); err != nil {
						return err
					}
					if err := samples.Delete(p.key); err != nil {
						return err
					}
				}
				if len(found) == moveAtOnce {
					return nil
				}
				return s.recall(tx)
			})
			if err != nil {
				return err
			}
			if more = len(found) == moveAtOnce; more {
				next = found[len(found)-1].key
			}
			total += len(found)
			s.held.Add(int64(len(found)))
			s.redated.Add(int64(len(found)))
			return nil
		})
	}
	return total, err
}

// bucketEntry is an entry of a bucket, copied.
type bucketEntry struct{ key, value []byte }

// firstOf returns the first entries of b from a key on that match, up to most: a bucket is not to be changed while it is
// gone through.
func firstOf(b *bolt.Bucket, from []byte, most int, match func(k, v []byte) bool) (found []bucketEntry) {
	c := b.Cursor()
	for k, v := c.Seek(from); k != nil && len(found) < most; k, v = c.Next() {
		if match(k, v) {
			found = append(found, bucketEntry{bytes.Clone(k), bytes.Clone(v)})
		}
	}
	return found
}

// Redated is how many samples lost their times since the spool was opened, to get others.
func (s *Spool) Redated() int64 { return s.redated.Load() }

// recall finds the newest time anew, after samples gave theirs back.
func (s *Spool) recall(tx *bolt.Tx) error {
	var newest int64
	if err := format.EachGiven(tx, func(ms int64) { newest = max(newest, ms) }); err != nil {
		return err
	}
	s.given = nil
	tx.OnCommit(func() { s.newest.Store(newest) })
	meta := tx.Bucket(format.MetaBucket)
	if err := format.PutNumber(meta, format.LastTSKey, uint64(newest)); err != nil {
		return err
	}
	return format.PutNumber(meta, format.NewestTSKey, uint64(newest))
}
