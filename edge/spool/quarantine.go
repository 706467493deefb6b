package spool

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"time"

	bolt "go.etcd.io/bbolt"
)

// quarantineCap is how many bytes the quarantine may take if Spool.QuarantineCap is 0: a tenth of the smallest limit that a
// spool has. When the quarantine is full, rejected samples stay in the spool and are retried
// indefinitely.
const quarantineCap = 50 << 20

// PeekNewest returns up to n of the newest samples, oldest first, without those that skip accepts. Damaged records
// are left to Peek.
func (s *Spool) PeekNewest(n int, skip func(seq uint64) bool) ([]Record, error) {
	var records []Record
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(format.SamplesBucket).Cursor()
			for k, v := c.Last(); k != nil && len(records) < n; k, v = c.Prev() {
				seq := binary.BigEndian.Uint64(k)
				if s.hidden(seq) || skip != nil && skip(seq) {
					continue
				}
				if r, err := format.Decode(seq, v); err == nil {
					records = append(records, r)
				}
			}
			return nil
		})
	})
	slices.Reverse(records)
	return records, err
}

// Get returns the samples with these numbers that still wait, in that order.
func (s *Spool) Get(seqs []uint64) ([]Record, error) {
	var records []Record
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			b := tx.Bucket(format.SamplesBucket)
			for _, seq := range seqs {
				if s.hidden(seq) {
					continue
				}
				if r, err := format.Decode(seq, b.Get(format.Key(seq))); err == nil {
					records = append(records, r)
				}
			}
			return nil
		})
	})
	return records, err
}

// Requeue moves what match accepts back from the quarantine, to be delivered once more, and returns how many that were.
// A damaged record stays.
func (s *Spool) Requeue(match func(Rejection) bool) (int, error) {
	moved := 0
	err := s.exec(func() error {
		return s.requeue(func(r Rejection, _ time.Time) bool { return match(r) }, &moved, nil)
	})
	return moved, err
}

const keptVersions = 4 // of a part, that the spool records

// RequeueOnce requeues everything when the version of part is another than at the last call: the next version may accept
// what the last one refused.
func (s *Spool) RequeueOnce(part, version string) (int, error) {
	moved := 0
	err := s.exec(func() error {
		known, err := s.versions(part)
		if err != nil {
			return err
		}
		mark := versionMark(version)
		at := slices.Index(known, mark)
		if at == 0 {
			return nil
		}
		if at > 0 {
			known = slices.Delete(known, at, at+1)
		}
		known = slices.Insert(known, 0, mark)
		var b []byte
		for _, mark := range known[:min(len(known), keptVersions)] {
			b = binary.BigEndian.AppendUint64(b, mark)
		}
		return s.requeue(func(Rejection, time.Time) bool { return true }, &moved, func(meta *bolt.Bucket) error { return meta.Put(versionKey(part), b) })
	})
	return moved, err
}

// Met reports whether version is the last that RequeueOnce was called with for part, and whether it is one of the last
// few.
func (s *Spool) Met(part, version string) (last, known bool, err error) {
	err = s.exec(func() error {
		all, err := s.versions(part)
		at := slices.Index(all, versionMark(version))
		last, known = at == 0, at >= 0
		return err
	})
	return last, known, err
}

// versions returns the marks of the last versions of part, the newest first. It runs on the goroutine that owns the file.
func (s *Spool) versions(part string) (marks []uint64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		for b := range slices.Chunk(tx.Bucket(format.MetaBucket).Get(versionKey(part)), 8) {
			if len(b) == 8 {
				marks = append(marks, binary.BigEndian.Uint64(b))
			}
		}
		return nil
	})
	return marks, err
}

func versionKey(part string) []byte { return []byte("version_" + part) }

func versionMark(version string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(version))
	return h.Sum64()
}

// requeue is one transaction. It runs on the goroutine that owns the file.
func (s *Spool) requeue(match func(Rejection, time.Time) bool, moved *int, also func(meta *bolt.Bucket) error) error {
	n := 0
	err := s.commitAcks(func(tx *bolt.Tx) (err error) {
		if n, err = format.Requeue(tx, match); err != nil || also == nil {
			return err
		}
		return also(tx.Bucket(format.MetaBucket))
	})
	if err == nil {
		*moved = n
		s.waiting.Add(int64(n))
		s.quarantined.Add(int64(-n))
	}
	return err
}

// QuarantineFull reports whether the quarantine has reached its cap.
func (s *Spool) QuarantineFull() (full bool, err error) {
	err = s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			full = tx.Bucket(format.QuarantineBucket).Stats().LeafInuse >= cmp.Or(s.QuarantineCap, quarantineCap)
			return nil
		})
	})
	return full, err
}

// DamagedBytes is the size of the damaged files that are kept beside the spool.
func (s *Spool) DamagedBytes() int64 { return files.DamagedBytes(s.path) }

// QuarantinePage returns the samples whose numbers are above after.
func (s *Spool) QuarantinePage(after uint64) (page QuarantinePage, err error) {
	err = s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			page = format.ReadQuarantine(tx.Bucket(format.QuarantineBucket), after)
			return nil
		})
	})
	page.Spool, page.Count = s.path, s.InQuarantine()
	return page, err
}
