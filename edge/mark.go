package edge

import (
	bolt "go.etcd.io/bbolt"
)

// mark keeps the mark up to date, and notes that commits succeed.
func (s *Spool) mark() {
	err := caught(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			if tx.ID() != s.committed {
				s.committed, s.renewals, s.failures = tx.ID(), 0, 0
			}
			samples := tx.Bucket(samplesBucket)
			last := samples.Sequence()
			low := last + 1
			for _, name := range [][]byte{samplesBucket, undatedBucket} {
				if k, _ := tx.Bucket(name).Cursor().First(); len(k) == 8 {
					low = min(low, keySeq(k))
				}
			}
			m := s.marked
			if last+markStep <= m.Reserved && low >= m.Below && low < m.Below+markStep {
				return nil
			}
			m, err := writeMark(s.path, mark{Reserved: last + 2*markStep, Below: low})
			if err == nil {
				s.marked = m
			}
			return err
		})
	})
	if err != nil {
		s.markErr = err // the samples are safe without it, and the next call tries again
	}
}
