package edge

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

// Oldest returns the time of the oldest sample that can be sent, zero if there is none.
func (s *Spool) Oldest() (oldest time.Time, err error) {
	err = s.do(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(samplesBucket).Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				if s.hidden(keySeq(k)) {
					continue
				}
				if r, err := decodeFields(keySeq(k), v); err == nil { // a damaged one is Peek's affair
					oldest = r.Sample.Time
					return nil
				}
			}
			return nil
		})
	})
	return oldest, err
}
