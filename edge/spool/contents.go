package spool

import (
	"errors"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/edge/spool/salvage"
)

// Info counts what is in the spool.
func (s *Spool) Info() (i Info, err error) {
	err = s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			i = format.ReadInfo(tx, s.hidden)
			return nil
		})
	})
	i.Path, i.Waiting, i.Bytes = s.path, s.Waiting(), s.Bytes()
	return i, err
}

// Page returns the samples of a part whose numbers are above after, see format.ReadPage.
func (s *Spool) Page(part string, after uint64) (page Page, known bool, err error) {
	err = s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			page, known = format.ReadPage(tx, part, after, s.hidden)
			return nil
		})
	})
	return page, known, err
}

// RequeueChosen moves the chosen samples back from the quarantine, to be delivered once more, and returns how many that were.
func (s *Spool) RequeueChosen(c Choice) (moved int, err error) {
	err = s.exec(func() error {
		return s.requeue(func(r Rejection, at time.Time) bool { return c.Has(r.Seq, r.Code, at) }, &moved, nil)
	})
	return moved, err
}

// Drop deletes the chosen samples from the quarantine and returns how many that were.
func (s *Spool) Drop(c Choice) (gone int, err error) {
	err = s.exec(func() error {
		err := s.commitAcks(func(tx *bolt.Tx) (err error) {
			gone, err = format.Drop(tx, func(r Rejection, at time.Time) bool { return c.Has(r.Seq, r.Code, at) })
			return err
		})
		if err == nil {
			s.quarantined.Add(int64(-gone))
		}
		return err
	})
	return gone, err
}

// Verify reads the whole file while all other methods wait, see salvage.Examine. Damage is what is wrong with it, "" for nothing.
func (s *Spool) Verify() (damage string, err error) {
	err = s.exec(func() error {
		info, err := s.file.Stat()
		if err != nil {
			return err
		}
		_, err = salvage.Examine(salvage.Watched(s.file, s.Busy), info.Size())
		if d, ok := errors.AsType[*salvage.Damaged](err); ok {
			damage, _, _ = strings.Cut(d.Error(), "\n")
			return nil
		}
		return err
	})
	return damage, err
}
