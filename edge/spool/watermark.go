package spool

import (
	bolt "go.etcd.io/bbolt"
	"sunspool/edge/spool/format"
)

// updateWatermark writes the watermark when it is due, and resets the count of openings after a commit.
func (s *Spool) updateWatermark() {
	err := format.Catch(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			if tx.ID() != s.committed {
				s.committed, s.attempts, s.ownFailures = tx.ID(), 0, 0
			}
			samples := tx.Bucket(format.SamplesBucket)
			last := samples.Sequence()
			low := last + 1
			for _, name := range [][]byte{format.SamplesBucket, format.UndatedBucket} {
				if k, _ := tx.Bucket(name).Cursor().First(); len(k) == 8 {
					low = min(low, format.Seq(k))
				}
			}
			m := s.watermark
			if last+format.WatermarkStep <= m.Reserved && low >= m.Below && low < m.Below+format.WatermarkStep {
				return nil
			}
			m, err := format.WriteWatermark(s.path, format.Watermark{Reserved: last + 2*format.WatermarkStep, Below: low})
			if err == nil {
				s.watermark = m
			}
			return err
		})
	})
	if err != nil {
		s.watermarkErr = err // the samples are safe without it, and the next call tries again
	}
}
