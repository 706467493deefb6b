package spool

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
)

// Peek returns up to n of the oldest samples, without those that skip accepts. A damaged record is moved to the
// quarantine as it is.
func (s *Spool) Peek(n int, skip func(seq uint64) bool) ([]Record, error) {
	var records []Record
	var damaged []Rejection
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(format.SamplesBucket).Cursor()
			for k, v := c.First(); k != nil && len(records) < n; k, v = c.Next() {
				seq := binary.BigEndian.Uint64(k)
				if s.hidden(seq) || skip != nil && skip(seq) {
					continue
				}
				r, err := format.Decode(seq, v)
				if err != nil {
					damaged = append(damaged, Rejection{Seq: seq, Code: "record_damaged", Detail: err.Error(), First: now(), Last: now()})
					continue
				}
				records = append(records, r)
			}
			return nil
		})
	})
	if err == nil && len(damaged) > 0 {
		err = s.Settle(nil, damaged)
	}
	return records, err
}
