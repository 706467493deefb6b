package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	bolt "go.etcd.io/bbolt"

	"sunspool/internal/durable"
)

const markStep = 1000 // numbers between two writes of the mark

// mark is a small file beside the spool that says that there was one. It is written about once in a thousand samples.
type mark struct {
	Reserved uint64 `json:"reserved"` // numbers up to here may have been given
	Below    uint64 `json:"below"`    // all numbers below had left the spool
	CRC      uint32 `json:"crc32c"`   // of the two
}

func (m mark) sum() uint32 {
	return crc32.Checksum(fmt.Appendf(nil, "%d %d", m.Reserved, m.Below), castagnoli)
}

// readMark returns the mark beside the spool at path, the zero mark if there is none. An unreadable one is an error, and
// says only that there was a spool.
func readMark(path string) (m mark, err error) {
	file, _, err := durable.Open(path + ".exists")
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, nil
	}
	if err == nil {
		defer file.Close()
		err = json.NewDecoder(file).Decode(&m)
	}
	if err == nil && m.CRC != m.sum() {
		err = errors.New("checksum does not match")
	}
	if err != nil {
		return mark{Reserved: 1}, fmt.Errorf("mark of the spool: %w", err)
	}
	return m, nil
}

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
			m = mark{Reserved: last + 2*markStep, Below: low}
			m.CRC = m.sum()
			b, err := json.Marshal(m)
			if err == nil {
				err = durable.Replace(s.path+".exists", append(b, '\n'), 0o600, true)
			}
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
