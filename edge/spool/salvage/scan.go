package salvage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sunspool/edge/spool/format"
)

// Damaged is the error of a file that bbolt must not be given.
type Damaged struct {
	Why  error
	Scan *Scan
}

func (d *Damaged) Error() string { return d.Why.Error() }
func (d *Damaged) Unwrap() error { return d.Why }

// Scan is what Examine found in the pages in use.
type Scan struct {
	pages      *boltFile
	damage     error // of an item; that of a page is in pages.damage
	ours       bool  // it has a bucket of ours
	schema     uint64
	sequence   uint64                 // the last number used
	settled    uint64                 // samples that had left
	waiting    uint64                 // samples that had not
	unreadable []uint64               // those of them that are damaged
	usedPages  bitmap                 // pages that hold waiting samples
	quarantine map[uint64][]byte      // its entries
	others     map[string][][2][]byte // keys and values of the other buckets
	numbers    map[string]uint64      // the sequence of each bucket
}

func newScan(r io.ReaderAt, size, pageSize int64) *Scan {
	return &Scan{
		pages: &boltFile{r: r, size: size, pageSize: pageSize}, usedPages: newBitmap(uint64(size/pageSize) + 1),
		quarantine: make(map[uint64][]byte), others: make(map[string][][2][]byte),
		numbers: make(map[string]uint64),
	}
}

// problem returns what is wrong, nil if nothing is.
func (l *Scan) problem() error { return cmp.Or(l.pages.damage, l.damage) }

func (l *Scan) fail(format string, args ...any) {
	if l.damage == nil {
		l.damage = fmt.Errorf(format, args...)
	}
}

// Examine reads every page in use and checks that they form a tree, that each sample is whole, and that the number of
// samples is that of the counters. The error is *Damaged, or the reason why the file must not be changed.
func Examine(r io.ReaderAt, size int64) (*Scan, error) {
	var l *Scan
	if err := format.Catch(func() error { l = scanFile(r, size); return nil }); err != nil {
		return l, &Damaged{err, newScan(r, size, 4096)}
	}
	switch {
	case l.schema > format.Schema && l.schema <= format.Schema+30: // beyond, it is a flipped bit
		return l, fmt.Errorf("%w: schema %d, this program knows %d", format.ErrNewer, l.schema, format.Schema)
	case l.problem() != nil:
		return l, &Damaged{l.problem(), l}
	case !l.ours && search(r, size, l.inUse, 0, anySample).total == 0:
		return l, format.ErrForeign
	case !l.ours:
		return l, &Damaged{errors.New("its buckets are missing"), l}
	}
	return l, nil
}

// scanFile scans the newest commit. If that is damaged, it takes what does not change often from the commit before it.
func scanFile(r io.ReaderAt, size int64) *Scan {
	p, metas := openBoltFile(r, size)
	newest := newScan(r, size, p.pageSize)
	newest.pages.damage = p.damage
	for i, m := range metas {
		if i == 0 {
			newest.walk(m)
			if newest.problem() == nil {
				break
			}
			continue
		}
		before := newScan(r, size, p.pageSize)
		before.walk(m)
		for name, items := range before.others {
			if len(newest.others[name]) == 0 {
				newest.others[name] = items
			}
		}
	}
	return newest
}

// inUse reports whether what is at that place of the file is in a page that holds waiting samples.
func (l *Scan) inUse(at int64) bool { return l.usedPages.has(uint64(at / l.pages.pageSize)) }

func (l *Scan) walk(m meta) {
	names := 0
	l.pages.walk(m, func(bucket []byte, sequence uint64, i item) {
		known := slices.ContainsFunc(format.Buckets, func(name []byte) bool { return bytes.Equal(name, i.key) })
		switch name := string(bucket); {
		case bucket == nil:
			if known && i.bucket {
				names++
				l.ours = true
				if len(i.value) >= inBucket {
					l.numbers[string(i.key)] = native.Uint64(i.value[8:])
				}
				l.sequence = l.numbers[string(format.SamplesBucket)]
			}
		case i.bucket:
			l.fail("page %d: %s has a bucket %x in it", i.page, name, i.key)
		case name == string(format.SamplesBucket), name == string(format.UndatedBucket):
			l.waiting++
			l.usedPages.set(i.page)
			seq, err := format.Check(i.value)
			if err == nil && seq != keyOf(i.key) {
				err = fmt.Errorf("it is record %d", seq)
			}
			if err != nil {
				l.fail("page %d: %s %x: %w", i.page, name, i.key, err)
				l.unreadable = append(l.unreadable, keyOf(i.key))
			}
		case name == string(format.QuarantineBucket):
			if _, err := readEntry(keyOf(i.key), i.value); err != nil {
				l.fail("page %d: %s %x: %w", i.page, name, i.key, err)
				return
			}
			l.quarantine[keyOf(i.key)] = bytes.Clone(i.value)
		default:
			l.others[name] = append(l.others[name], [2][]byte{bytes.Clone(i.key), bytes.Clone(i.value)})
			if name == string(format.MetaBucket) && len(i.value) == 8 {
				switch n := keyOf(i.value); string(i.key) {
				case string(format.SchemaKey):
					l.schema = n
				case string(format.SettledKey):
					l.settled = n
				}
			}
		}
	})
	if l.ours && names < len(format.Buckets) {
		l.fail("%d of %d buckets are missing", len(format.Buckets)-names, len(format.Buckets))
	}
	if l.ours && l.schema != format.Schema {
		l.fail("schema %d", l.schema)
	}
	if l.ours && l.waiting != l.sequence-l.settled {
		l.fail("%d samples where %d must be", l.waiting, int64(l.sequence-l.settled))
	}
}

func keyOf(key []byte) uint64 {
	if len(key) != 8 {
		return 0
	}
	return format.Seq(key)
}

// readEntry checks a quarantine entry. Its sample may be damaged: that may be why it is there.
func readEntry(seq uint64, b []byte) (e format.Entry, err error) {
	if err := json.Unmarshal(b, &e); err != nil {
		return e, err
	}
	if e.Code == "" || seq == 0 || seq >= 1<<40 {
		return e, errors.New("no entry of the quarantine")
	}
	if got, err := format.Check(e.Record); err == nil && got != seq {
		return e, fmt.Errorf("sample %d under number %d", got, seq)
	}
	return e, nil
}
