// Package spool keeps samples on disk from the moment they are measured until the server has them.
//
//	Append ──> samples ──> Peek ──> (upload) ──> Settle ──> gone, or quarantine
//	  └──> undated ──^ AssignTimestamps
//
// A sample is on the disk when Append returns. It leaves the spool only by Settle: when the server has it, or when the
// server refuses it, which moves it to the quarantine in the same transaction.
//
// The parts: one goroutine that owns the file (worker, open, reopen), how large the file may become (capacity,
// preallocate, compact), timestamps, which are assigned later where the time is unknown, and never twice (undated,
// timestamps), and the quarantine. The packages below it are format (what is in the file), files (what is beside it), salvage (what is left of
// a damaged one) and inspect (what commands read of a spool that no edge has open).
package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/wire"
)

// Spool is a file of samples. One goroutine owns the file; the methods may be called from any.
type Spool struct {
	QuarantineCap int                      // bytes; 0 is quarantineCap
	Busy          func(most time.Duration) // called before long work, during which all methods wait; may be nil

	path string
	db   *bolt.DB
	file *os.File // that db has open and locked
	ops  chan func()
	quit chan struct{} // closed by Close
	once sync.Once

	acks      acks
	uncertain []uint64 // numbers of a commit that failed and is repeated: they may be in the file all the same
	space     capacityState

	compactNext time.Time         // no attempt before
	atStep      func(step string) // for tests of a crash at each step of it

	opening      atomic.Pointer[Opening]
	watermark    format.Watermark // as it is on the disk
	watermarkErr error            // of the last try to write it
	committed    int              // number of the last commit that was seen
	reopening

	waiting, quarantined       atomic.Int64
	undated, estimated, newest atomic.Int64   // see Undated, Estimated, Newest
	redated                    atomic.Int64   // see Redated
	used                       map[int64]bool // timestamps, from usedFrom on; nil while only the newest matters
	usedFrom                   int64
}

// What the file has, see package format.
type (
	Record            = format.Record
	When              = format.When
	Quality           = format.Quality
	Anchor            = format.Anchor
	Rejection         = format.Rejection
	QuarantinedSample = format.QuarantinedSample
	QuarantinePage    = format.QuarantinePage
	Info              = format.Info
	Page              = format.Page
	Stored            = format.Stored
	Choice            = format.Choice
)

// Where a sample's time comes from.
const (
	Undated   = format.Undated
	Synced    = format.Synced
	ByServer  = format.ByServer
	Estimated = format.Estimated
	Believed  = format.Believed
)

// Pending is a sample on its way to the disk.
type Pending struct {
	Sample wire.Sample
	When   When
}

// Append stores sample and returns when it is durable, see AppendAll.
func (s *Spool) Append(sample *wire.Sample, when When) error {
	group := []Pending{{*sample, when}}
	err := s.AppendAll(group)
	*sample = group[0].Sample
	return err
}

// AppendAll stores the samples of group in their order, all or none, and returns when they are durable: a power cut
// after that loses none of them. Two samples of a device with the same time would be one on the server, so a time in
// group is moved to the next free millisecond where that is needed. A sample whose time is unknown stays undated until
// AssignTimestamps, and so does one behind it, which keeps the order. The error is ErrFull, or the disk's.
func (s *Spool) AppendAll(group []Pending) error {
	var records []Record
	add := func() error {
		var left, undated int
		err := s.commitSamples(func(tx *bolt.Tx) (err error) {
			records, undated = records[:0], 0
			if left, err = deleteSettled(tx, append(s.acks.list(), s.uncertain...)); err != nil {
				return err
			}
			for _, p := range group {
				hold := p.When.Quality == Undated || s.undated.Load() > 0 || undated > 0
				r, err := s.put(tx, p, hold)
				if err != nil {
					return err
				}
				if hold {
					undated++
				}
				records = append(records, r)
			}
			return nil
		})
		if err == nil {
			s.waiting.Add(int64(len(group) - left))
			s.undated.Add(int64(undated))
			s.acks.clear()
		}
		return err
	}
	err := s.run(func() error {
		err := s.runVerified(add, func(tx *bolt.Tx) bool { return holds(tx, records) })
		if err != nil {
			s.noteUncertain(records)
		} else {
			s.uncertain = nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := range group {
		group[i].Sample.Time = records[i].Sample.Time
	}
	return nil
}

// put adds a sample to tx, in the undated bucket or in that of samples that can be sent.
func (s *Spool) put(tx *bolt.Tx, p Pending, hold bool) (Record, error) {
	to := tx.Bucket(format.SamplesBucket)
	seq, err := to.NextSequence()
	if err != nil {
		return Record{}, err
	}
	if err := s.numberBoot(tx, &p.When); err != nil {
		return Record{}, err
	}
	if err := noteTouch(tx, p.When); err != nil {
		return Record{}, err
	}
	r := Record{Seq: seq, Sample: p.Sample, When: p.When}
	if hold {
		to = tx.Bucket(format.UndatedBucket)
	} else if err := s.nextFreeTimestamp(tx, &r.Sample.Time); err != nil {
		return Record{}, err
	}
	to.FillPercent = 0.95 // keys only grow, and the setting is not kept in the file
	return r, to.Put(format.Key(seq), r.Encode())
}

// holds reports whether all records are in tx as they are.
func holds(tx *bolt.Tx, records []Record) bool {
	for _, r := range records {
		k, v := format.Key(r.Seq), r.Encode()
		if !bytes.Equal(tx.Bucket(format.SamplesBucket).Get(k), v) && !bytes.Equal(tx.Bucket(format.UndatedBucket).Get(k), v) {
			return false
		}
	}
	return len(records) > 0
}

// hidden reports whether a sample in the file must not be read: the server has it, or it will be written again.
func (s *Spool) hidden(seq uint64) bool { return s.acks.has(seq) || slices.Contains(s.uncertain, seq) }

// Settle deletes the samples that the server has and moves those that it rejected to the quarantine, in one transaction.
// Numbers that are not in the spool any more are ignored: settling twice is normal. It works in a full spool. A few
// numbers that the server has are deleted with the next commit only, see acks.
func (s *Spool) Settle(stored []uint64, rejected []Rejection) error {
	if len(stored)+len(rejected) == 0 {
		return nil
	}
	return s.exec(func() error {
		if len(rejected) == 0 {
			later := false
			err := s.db.View(func(tx *bolt.Tx) error {
				later = s.acks.hold(tx, stored, s.Capacity().scarce())
				return nil
			})
			if err != nil || later {
				return err
			}
		}
		var left, moved int
		err := s.commitAcks(func(tx *bolt.Tx) (err error) {
			moved = 0
			if left, err = deleteSettled(tx, append(s.acks.list(), stored...)); err != nil {
				return err
			}
			meta, samples := tx.Bucket(format.MetaBucket), tx.Bucket(format.SamplesBucket)
			for _, p := range rejected {
				record := samples.Get(format.Key(p.Seq))
				if record == nil {
					continue
				}
				if err := format.PutAside(tx, p, record); err != nil {
					return err
				}
				if err := samples.Delete(format.Key(p.Seq)); err != nil {
					return err
				}
				moved++
			}
			return format.PutNumber(meta, format.SettledKey, format.Number(meta, format.SettledKey)+uint64(moved))
		})
		if err == nil {
			s.waiting.Add(int64(-left - moved))
			s.acks.clear()
			s.quarantined.Add(int64(moved))
		}
		return err
	})
}

// Quarantined returns what the server refused, oldest first, with the samples that can still be read.
func (s *Spool) Quarantined() ([]Record, []Rejection, error) {
	var records []Record
	var reasons []Rejection
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			return tx.Bucket(format.QuarantineBucket).ForEach(func(k, v []byte) error {
				var e format.Entry
				if err := json.Unmarshal(v, &e); err != nil {
					return fmt.Errorf("quarantined sample %d: %w", binary.BigEndian.Uint64(k), err)
				}
				e.Seq = binary.BigEndian.Uint64(k)
				r, err := format.Decode(e.Seq, e.Record)
				if err != nil {
					r = Record{Seq: e.Seq}
				}
				records, reasons = append(records, r), append(reasons, e.Rejection)
				return nil
			})
		})
	})
	return records, reasons, err
}

// Oldest returns the time of the oldest sample that can be sent, zero if there is none.
func (s *Spool) Oldest() (oldest time.Time, err error) {
	err = s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(format.SamplesBucket).Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				if s.hidden(format.Seq(k)) {
					continue
				}
				if r, err := format.DecodeFields(format.Seq(k), v); err == nil { // Peek handles a damaged one
					oldest = r.Sample.Time
					return nil
				}
			}
			return nil
		})
	})
	return oldest, err
}

// Waiting is the number of samples that the server does not have yet, undated ones included.
func (s *Spool) Waiting() int { return int(s.waiting.Load() - s.acks.count.Load()) }

// InQuarantine is the number of samples that the server refused.
func (s *Spool) InQuarantine() int { return int(s.quarantined.Load()) }

// Path is where the file is.
func (s *Spool) Path() string { return s.path }

// Bytes is the size of the file.
func (s *Spool) Bytes() int64 {
	info, err := os.Stat(s.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Close waits for the operation in progress and closes the file. Closing twice is normal; every other method fails from then
// on.
func (s *Spool) Close() (err error) {
	s.once.Do(func() {
		err = s.run(func() error {
			if s.db == nil {
				return s.trouble
			}
			if len(s.acks.seqs) > 0 { // a failure only sends them again
				format.Catch(func() error {
					return s.commitAcks(func(tx *bolt.Tx) error { _, err := deleteSettled(tx, s.acks.list()); return err })
				})
			}
			s.space.released = now() // nothing is mapped any more when it is closed
			return s.db.Close()
		})
		close(s.quit)
	})
	return err
}
