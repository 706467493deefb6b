package edge

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/wire"
)

// Spool keeps samples on disk from the moment they are measured until the server has them.
//
//	Append ──> samples ──> Peek ──> (upload) ──> Settle ──> gone, or quarantine
//	  └──> undated ──^ Date
//
// A sample is on the disk when Append returns, and stays until Settle says that the server has it, or that the server
// will never take it: then it is moved to the quarantine in the same transaction. Nothing else removes a sample.
//
// One goroutine owns the file; the methods may be called from any.
type Spool struct {
	QuarantineCap int // bytes; 0 is quarantineCap

	path string
	db   *bolt.DB
	file *os.File // that db has open and locked
	ops  chan func()
	quit chan struct{} // closed by Close
	once sync.Once

	opening   atomic.Pointer[Opening]
	marked    mark          // as it is on the disk
	markErr   error         // of the last try to write it
	committed int           // number of the last commit that was seen
	renewals  int           // openings since then
	renewed   time.Time     // when the last of them was
	trouble   error         // that made it necessary
	lost      chan struct{} // closed when opening again does not help
	giveUp    sync.Once

	waiting, quarantined    atomic.Int64
	held, estimated, newest atomic.Int64   // see Held, Estimated, Newest
	given                   map[int64]bool // times that were given, from givenFrom on; nil while only the newest matters
	givenFrom               int64
}

// Poison is a sample that the server refuses, and the server's reason.
type Poison struct {
	Seq         uint64    `json:"-"`
	Code        string    `json:"code"`
	Detail      string    `json:"detail"`
	First, Last time.Time // of its rejections
}

var (
	samplesBucket    = []byte("samples")    // sequence number, big-endian ──> record
	undatedBucket    = []byte("undated")    // the same, of samples whose time is not known yet
	quarantineBucket = []byte("quarantine") // the same key ──> JSON of quarantineEntry
	bootsBucket      = []byte("boots")      // number, big-endian ──> what is known of that boot's clock
	metaBucket       = []byte("meta")       // the keys below, 8 bytes each; small, so it rides in the page of the root

	buckets = [][]byte{samplesBucket, undatedBucket, quarantineBucket, bootsBucket, givenBucket, metaBucket}

	schemaKey  = []byte("schema")
	settledKey = []byte("settled") // how many samples ever left the samples bucket
	lastTSKey  = []byte("last_ts") // last time given to a sample, Unix ms
)

const spoolSchema = 1

// Append stores s and returns when it is durable. Two samples of a device with the same time would be one on the
// server, so s.Time is moved to the next millisecond where that is needed. A sample whose time nobody knows is held
// until Date, and so is one behind it, which keeps the order.
func (s *Spool) Append(sample *wire.Sample, when When) error {
	var r Record
	written := func(tx *bolt.Tx) bool {
		for _, name := range [][]byte{samplesBucket, undatedBucket} {
			if bytes.Equal(tx.Bucket(name).Get(seqKey(r.Seq)), r.encode()) {
				return true
			}
		}
		return false
	}
	return s.doSure(written, func() error {
		hold := when.Quality == Undated || s.held.Load() > 0
		err := s.db.Update(func(tx *bolt.Tx) error {
			samples := tx.Bucket(samplesBucket)
			seq, err := samples.NextSequence()
			if err != nil {
				return err
			}
			to := samples
			if hold {
				to = tx.Bucket(undatedBucket)
			} else if err := s.unique(tx, &sample.Time); err != nil {
				return err
			}
			to.FillPercent = 0.95 // keys only grow, and the setting is not kept in the file
			r = Record{Seq: seq, Sample: *sample, When: when}
			return to.Put(seqKey(seq), r.encode())
		})
		if err == nil {
			s.waiting.Add(1)
		}
		if err == nil && hold {
			s.held.Add(1)
		}
		return err
	})
}

// Peek returns up to n of the oldest samples, without those that skip names. A record that is damaged is no sample any
// more: it goes to the quarantine as it is.
func (s *Spool) Peek(n int, skip func(seq uint64) bool) ([]Record, error) {
	var records []Record
	var damaged []Poison
	err := s.do(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(samplesBucket).Cursor()
			for k, v := c.First(); k != nil && len(records) < n; k, v = c.Next() {
				seq := binary.BigEndian.Uint64(k)
				if skip != nil && skip(seq) {
					continue
				}
				r, err := decodeRecord(seq, v)
				if err != nil {
					damaged = append(damaged, Poison{Seq: seq, Code: "record_damaged", Detail: err.Error(), First: now(), Last: now()})
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

// Settle forgets the samples that the server has and moves the poisoned ones to the quarantine, in one transaction.
// Numbers that are not in the spool any more are ignored: settling twice is normal.
func (s *Spool) Settle(stored []uint64, poisoned []Poison) error {
	if len(stored)+len(poisoned) == 0 {
		return nil
	}
	return s.do(func() error {
		var left, moved int
		err := s.db.Update(func(tx *bolt.Tx) error {
			var times []int64
			left, moved = 0, 0
			meta, samples := tx.Bucket(metaBucket), tx.Bucket(samplesBucket)
			remove := func(seq uint64) error {
				left++
				return samples.Delete(seqKey(seq))
			}
			for _, seq := range stored {
				record := samples.Get(seqKey(seq))
				if record == nil {
					continue
				}
				if r, err := decodeRecord(seq, record); err == nil {
					times = append(times, r.Sample.Time.UnixMilli())
				}
				if err := remove(seq); err != nil {
					return err
				}
			}
			if err := leave(tx, times); err != nil {
				return err
			}
			for _, p := range poisoned {
				record := samples.Get(seqKey(p.Seq))
				if record == nil {
					continue
				}
				if err := putAside(tx, p, record); err != nil {
					return err
				}
				if err := remove(p.Seq); err != nil {
					return err
				}
				moved++
			}
			return putNumber(meta, settledKey, number(meta, settledKey)+uint64(left))
		})
		if err == nil {
			s.waiting.Add(int64(-left))
			s.quarantined.Add(int64(moved))
		}
		return err
	})
}

// Quarantined returns what the server refused, oldest first, with the samples that can still be read.
func (s *Spool) Quarantined() ([]Record, []Poison, error) {
	var records []Record
	var reasons []Poison
	err := s.do(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			return tx.Bucket(quarantineBucket).ForEach(func(k, v []byte) error {
				var e quarantineEntry
				if err := json.Unmarshal(v, &e); err != nil {
					return fmt.Errorf("quarantined sample %d: %w", binary.BigEndian.Uint64(k), err)
				}
				e.Seq = binary.BigEndian.Uint64(k)
				r, err := decodeRecord(e.Seq, e.Record)
				if err != nil {
					r = Record{Seq: e.Seq}
				}
				records, reasons = append(records, r), append(reasons, e.Poison)
				return nil
			})
		})
	})
	return records, reasons, err
}

// Waiting is the number of samples that the server does not have yet, held ones included.
func (s *Spool) Waiting() int { return int(s.waiting.Load()) }

// InQuarantine is the number of samples that the server will not take.
func (s *Spool) InQuarantine() int { return int(s.quarantined.Load()) }

// Bytes is the size of the file.
func (s *Spool) Bytes() int64 {
	info, err := os.Stat(s.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Close waits for what is under way and closes the file. Closing twice is normal; every other method fails from then
// on.
func (s *Spool) Close() (err error) {
	s.once.Do(func() {
		err = s.run(func() error {
			if s.db == nil {
				return s.trouble
			}
			return s.db.Close()
		})
		close(s.quit)
	})
	return err
}

// quarantineEntry keeps the record byte by byte: it may be wanted again.
type quarantineEntry struct {
	Poison
	Record []byte `json:"record"`
}

// do runs f on the goroutine that owns the file and returns its error, or its panic as one: a page that cannot be read
// or that makes no sense must not end the process.
func (s *Spool) do(f func() error) error { return s.doSure(nil, f) }

// doSure is do for an f that writes what done finds in the file.
func (s *Spool) doSure(done func(*bolt.Tx) bool, f func() error) error {
	return s.run(func() error { return s.sure(f, done) })
}

// run runs f on the goroutine that owns the file.
func (s *Spool) run(f func() error) error {
	result := make(chan error, 1)
	op := func() {
		if err := caught(f); err != nil {
			result <- fmt.Errorf("spool %s: %w", s.path, err)
			return
		}
		result <- nil
	}
	select {
	case s.ops <- op:
		return <-result
	case <-s.quit:
		return fmt.Errorf("spool %s: closed", s.path)
	}
}

// own runs the operations one after the other until the spool is closed.
func (s *Spool) own() {
	debug.SetPanicOnFault(true) // a truncated file faults when its mapping is read
	for {
		select {
		case op := <-s.ops:
			op()
		case <-s.quit:
			return
		}
	}
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func keySeq(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

func number(b *bolt.Bucket, key []byte) uint64 {
	v := b.Get(key)
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func putNumber(b *bolt.Bucket, key []byte, n uint64) error {
	return b.Put(key, binary.BigEndian.AppendUint64(nil, n))
}
