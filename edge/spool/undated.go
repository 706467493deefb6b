package spool

import (
	"encoding/binary"
	"fmt"
	"sunspool/edge/spool/format"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A sample whose time is not known is undated: it is as durable as any other, but in the bucket undated, which is not
// uploaded, until its boot gets an anchor.
//
//	Append ──> undated ──(AssignTimestamps)──> samples     under the same number, in the order of the numbers

// Join returns the number of the boot of that id, which is new unless the last one has the same, and its anchor. A boot
// whose uptime went back is a new one even under the same id: the machine was restored to an earlier state.
func (s *Spool) Join(id string, up time.Duration) (n uint32, a Anchor, err error) {
	err = s.exec(func() error {
		return s.commitAcks(func(tx *bolt.Tx) error {
			n, a, err = s.join(tx, func(last format.Boot) bool { return last.ID == id && last.Latest.Taken <= up }, id)
			return err
		})
	})
	return n, a, err
}

// join returns the number and the anchor of the last boot if same accepts it, else it begins one of that id.
func (s *Spool) join(tx *bolt.Tx, same func(last format.Boot) bool, id string) (n uint32, a Anchor, err error) {
	boots := tx.Bucket(format.BootsBucket)
	if k, v := boots.Cursor().Last(); k != nil {
		if last := format.DecodeBoot(v); same(last) {
			return uint32(format.Seq(k)), last.Latest, nil
		}
	}
	number, err := boots.NextSequence()
	if err != nil {
		return 0, Anchor{}, err
	}
	if number > format.KeptBoots && s.undated.Load() == 0 {
		if err := boots.Delete(format.Key(number - format.KeptBoots)); err != nil {
			return 0, Anchor{}, err
		}
	}
	return uint32(number), Anchor{}, format.PutBoot(boots, uint32(number), format.Boot{ID: id})
}

// numberBoot sets the number of the boot in this file, if the sample has none or that of another file: the disk was not
// writable when the clock needed the number, or the file was replaced since. A sample with a wrong number would get the
// timestamps of another boot.
func (s *Spool) numberBoot(tx *bolt.Tx, w *When) (err error) {
	if w.BootID == "" || w.Boot != 0 && format.DecodeBoot(tx.Bucket(format.BootsBucket).Get(format.Key(uint64(w.Boot)))).ID == w.BootID {
		return nil
	}
	id := w.BootID // what was made before the last anchor of this boot is of this boot as well
	w.Boot, _, err = s.join(tx, func(last format.Boot) bool { return last.ID == id }, id)
	return err
}

// Anchor makes a durable as the latest anchor of boot n.
func (s *Spool) Anchor(n uint32, a Anchor) error {
	return s.exec(func() error {
		return s.commitAcks(func(tx *bolt.Tx) error { return format.SetAnchor(tx.Bucket(format.BootsBucket), n, a) })
	})
}

// AssignTimestamps moves the undated samples to those that can be sent, now that the present boot, n, has an anchor and
// has lasted for up: AnchorBoots gives every boot an anchor, then AssignBatch assigns timestamps, oldest first, until no
// sample is left. After a crash the next call continues, with the same timestamps.
func (s *Spool) AssignTimestamps(n uint32, a Anchor, up time.Duration) error {
	if s.undated.Load() == 0 {
		return nil
	}
	if err := s.AnchorBoots(n, a, up); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = s.AssignBatch(batchSize); err != nil {
			return err
		}
	}
	return nil
}

// firstDay is before the first day of this program: no sample is older.
var firstDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bootSpan describes the undated samples of one boot.
type bootSpan struct {
	boot        uint32
	first, last time.Duration // since the boot
	wall        time.Time     // when the last sample was made, by the clock of its host
}

// AnchorBoots gives an anchor to every boot that has undated samples. A boot that ended without one lies between the
// last timestamp before it and the start of the boot after it. If its own clock was in between, that is used; else the
// boot is placed so that it ends just before the later one began.
func (s *Spool) AnchorBoots(n uint32, a Anchor, up time.Duration) error {
	return s.exec(func() error {
		return s.commitAcks(func(tx *bolt.Tx) error {
			boots, meta := tx.Bucket(format.BootsBucket), tx.Bucket(format.MetaBucket)
			if err := format.SetAnchor(boots, n, a); err != nil {
				return err
			}
			spans := bootSpansOf(tx.Bucket(format.UndatedBucket))
			earliest := max(int64(format.Number(meta, format.LastKey)), firstDay.UnixMilli())
			lower := make([]time.Time, len(spans)) // the earliest time that the boots before leave to each
			earliestStart := time.UnixMilli(earliest)
			for i, span := range spans {
				lower[i] = earliestStart
				earliestStart = earliestStart.Add(span.last)
			}
			end, upper := a.At(up), a.At(0)
			later := end // when the first sample of the next span was made
			for i := len(spans) - 1; i >= 0; i-- {
				span := spans[i]
				known := a
				if span.boot != n {
					known = format.DecodeBoot(boots.Get(format.Key(uint64(span.boot)))).Latest
				}
				switch {
				case span.boot == 0: // unknown: it may be the one of the samples after it
					known = span.between(lower[i], later)
				case !known.IsSet() || known.At(span.last).After(end):
					known = span.between(lower[i], upper)
				}
				if err := format.SetAnchor(boots, span.boot, known); err != nil {
					return err
				}
				if span.boot != n && span.boot != 0 {
					upper = known.At(0)
				}
				later = known.At(span.first)
			}
			return nil
		})
	})
}

// between estimates when the boot of span started.
func (span bootSpan) between(lower, upper time.Time) Anchor {
	start := span.wall.Add(-span.last)
	if start.Add(span.first).Before(lower) || span.wall.After(upper) {
		start = upper.Add(-span.last - time.Millisecond)
	}
	return Anchor{Taken: span.last, Start: start.UnixNano(), Quality: Estimated}
}

// bootSpansOf groups the undated samples by boot, in the order of their numbers.
func bootSpansOf(undated *bolt.Bucket) (all []bootSpan) {
	c := undated.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		r, err := format.DecodeFields(binary.BigEndian.Uint64(k), v)
		if err != nil {
			continue // AssignBatch handles it
		}
		if len(all) == 0 || all[len(all)-1].boot != r.When.Boot {
			all = append(all, bootSpan{boot: r.When.Boot, first: r.When.Since})
		}
		span := &all[len(all)-1]
		span.last, span.wall = r.When.Since, r.Sample.Time
	}
	return all
}

// AssignBatch assigns timestamps to up to most of the oldest undated samples, by the anchors of their boots, in one
// transaction, and reports whether there are more. AnchorBoots was called before.
func (s *Spool) AssignBatch(most int) (more bool, err error) {
	err = s.exec(func() error {
		var moved, damaged, estimated int
		err := s.commitAcks(func(tx *bolt.Tx) error {
			undated, meta := tx.Bucket(format.UndatedBucket), tx.Bucket(format.MetaBucket)
			anchors := make(map[uint32]Anchor)
			oldest := firstOf(undated, format.Key(0), most, func(_, _ []byte) bool { return true })
			moved, damaged, estimated = len(oldest), 0, 0
			for _, p := range oldest {
				seq := format.Seq(p.key)
				if r, err := format.Decode(seq, p.value); err != nil {
					damaged++
					if err := format.PutAside(tx, Rejection{Seq: seq, Code: "record_damaged", Detail: err.Error(), First: now(), Last: now()}, p.value); err != nil {
						return err
					}
				} else if err := s.assignOne(tx, &r, anchors); err != nil {
					return err
				} else if r.When.Quality == Estimated {
					estimated++
				}
				if err := undated.Delete(p.key); err != nil {
					return err
				}
			}
			if err := format.PutNumber(meta, format.SettledKey, format.Number(meta, format.SettledKey)+uint64(damaged)); err != nil {
				return err
			}
			return format.PutNumber(meta, format.EstimatedKey, format.Number(meta, format.EstimatedKey)+uint64(estimated))
		})
		if err == nil {
			more = moved == most
			s.undated.Add(int64(-moved))
			s.waiting.Add(int64(-damaged))
			s.quarantined.Add(int64(damaged))
			s.estimated.Add(int64(estimated))
		}
		return err
	})
	return more, err
}

// assignOne moves r to the samples that can be sent, with the time by the anchor of its boot. A sample that only waited
// behind undated ones has its time already. anchors caches those that were read.
func (s *Spool) assignOne(tx *bolt.Tx, r *Record, anchors map[uint32]Anchor) error {
	if r.When.Quality == Undated {
		a, ok := anchors[r.When.Boot]
		if !ok {
			a = format.DecodeBoot(tx.Bucket(format.BootsBucket).Get(format.Key(uint64(r.When.Boot)))).Latest
			anchors[r.When.Boot] = a
		}
		if !a.IsSet() {
			return fmt.Errorf("boot %d of sample %d has no anchor", r.When.Boot, r.Seq)
		}
		r.Sample.Time, r.When.Quality = a.At(r.When.Since), a.Quality
	}
	if err := s.nextFreeTimestamp(tx, &r.Sample.Time); err != nil {
		return err
	}
	samples := tx.Bucket(format.SamplesBucket)
	samples.FillPercent = 0.95
	return samples.Put(format.Key(r.Seq), r.Encode())
}

// Newest is the latest timestamp that was ever used, zero if none was.
func (s *Spool) Newest() time.Time {
	if ms := s.newest.Load(); ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// Undated is the number of samples whose time is not known yet: they wait, but cannot be uploaded.
func (s *Spool) Undated() int { return int(s.undated.Load()) }

// Ready is the number of samples that can be uploaded.
func (s *Spool) Ready() int { return s.Waiting() - s.Undated() }

// Estimated is the number of samples whose time was estimated, ever.
func (s *Spool) Estimated() int { return int(s.estimated.Load()) }

// loadUndated counts what load does not.
func (s *Spool) loadUndated(tx *bolt.Tx) error {
	meta := tx.Bucket(format.MetaBucket)
	s.undated.Store(int64(tx.Bucket(format.UndatedBucket).Stats().KeyN))
	s.estimated.Store(int64(format.Number(meta, format.EstimatedKey)))
	s.newest.Store(int64(format.Number(meta, format.NewestKey)))
	return nil
}
