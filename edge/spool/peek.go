package spool

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
)

// Peek returns up to n of the oldest samples, without those that skip accepts. A damaged record is moved to the
// quarantine as it is.
func (s *Spool) Peek(n int, skip func(seq uint64) bool) ([]Record, error) {
	return s.PeekAgain(nil, n, skip)
}

// PeekAgain is Peek, without decoding those again that are in known, as they are in the file. The numbers of known ascend.
func (s *Spool) PeekAgain(known []Record, n int, skip func(seq uint64) bool) ([]Record, error) {
	records, damaged, err := s.peek(known, n, skip)
	if err == nil && len(damaged) > 0 {
		err = s.Settle(nil, damaged)
	}
	return records, err
}

// Preview is PeekAgain without a change of the spool: damaged records are left to Peek.
func (s *Spool) Preview(known []Record, n int, skip func(seq uint64) bool) ([]Record, error) {
	records, _, err := s.peek(known, n, skip)
	return records, err
}

func (s *Spool) peek(known []Record, n int, skip func(seq uint64) bool) (records []Record, damaged []Rejection, err error) {
	err = s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(format.SamplesBucket).Cursor()
			for k, v := c.First(); k != nil && len(records) < n; k, v = c.Next() {
				seq := binary.BigEndian.Uint64(k)
				if s.hidden(seq) || skip != nil && skip(seq) {
					continue
				}
				for len(known) > 0 && known[0].Seq < seq {
					known = known[1:]
				}
				if len(known) > 0 && known[0].Seq == seq && known[0].Sum == format.Sum(v) {
					records = append(records, known[0])
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
	return records, damaged, err
}
