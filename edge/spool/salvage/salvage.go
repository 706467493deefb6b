// Package salvage decides whether a file is a whole spool, and makes a new spool of what can be read in a damaged one.
//
//	file ──> boltfile: pages ──> scan: is it whole, what is in use?
//	  │                            │ damaged
//	  └──> search: candidates ─────┴──> Into: a new spool with the best candidate of each number
//
// bbolt follows whatever a page contains, so it is never given a damaged file: everything here reads the bytes itself,
// visits each page once, and needs 32 MiB for the candidates at most, however large the file is.
package salvage

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"sunspool/edge/spool/format"

	bolt "go.etcd.io/bbolt"
)

// A damaged spool is searched for records byte by byte: a record has its own length and checksum. bbolt never writes over
// the pages of its last commit, so a file also holds older copies of them: a record that one page lost is often in another. But it also holds copies of samples that left the spool long ago. A record
// counts as waiting unless there is evidence against it: sending a sample again is harmless, because the server has it
// under the same timestamp, and losing one is not:
//
//	in the quarantine, by a page in use               it stays there
//	in a page in use                                  waiting
//	in the quarantine, by any copy of such an entry   it goes back there
//	a number below the watermark beside the spool     gone: the server has it
//	anything else                                     waiting
//
// Of several copies of a record, one with its time known is better than one without.

// Result is how much of a damaged spool was salvaged.
type Result struct {
	Salvaged   int // samples found in it
	Unreadable int // samples that were in it and could not be read, as far as that can be known
}

// Into makes a new spool at fresh of what is in the file. It keeps in memory where at most so many copies of records are:
// where there are more, it goes through the file once for each part of the numbers.
func Into(r io.ReaderAt, size int64, l *Scan, m format.Watermark, fresh string, most int, result *Result) error {
	within := anySample
	within.most = most
	found := search(r, size, l.inUse, l.expected(size), within)
	parts := []span{within}
	if found.total > most {
		parts, found.found = found.spans(most), nil
	}
	w := salvager{r: r, scan: l, watermark: m, entries: found.entries}
	return format.Write(fresh, func(db *bolt.DB) error {
		for _, part := range parts {
			copies := found.found
			if copies == nil {
				copies = search(r, size, l.inUse, uint64(part.most), part).found
			}
			if err := w.put(db, copies, part); err != nil {
				return err
			}
		}
		return w.end(db, result)
	})
}

// salvager puts what was found in a damaged file into a new spool, part by part, in the order of the numbers.
type salvager struct {
	r         io.ReaderAt
	scan      *Scan
	watermark format.Watermark
	entries   map[uint64][]byte // of the quarantine, anywhere in the file

	last            uint64 // number of all
	waiting, missed int    // samples that wait, and those that were seen to be damaged
	newest          int64  // time of a sample, ms
}

// put adds the best of the copies, which are those of part.
func (w *salvager) put(db *bolt.DB, copies []candidate, part span) error {
	waiting, last := choose(copies, w.watermark)
	w.last = max(w.last, last)
	if w.scan.problem() != nil { // the pages in use may not be all
		for seq, entry := range w.entries {
			if seq < part.from || seq > part.to {
				continue
			}
			at, ok := slices.BinarySearchFunc(waiting, seq, func(c candidate, seq uint64) int { return cmp.Compare(c.seq(), seq) })
			if takenBack := ok && waiting[at].rank()&pageInUse != 0; takenBack {
				delete(w.entries, seq)
			} else if w.scan.quarantine[seq] == nil {
				w.scan.quarantine[seq] = entry
			}
		}
	}
	waiting = slices.DeleteFunc(waiting, func(c candidate) bool { return w.scan.quarantine[c.seq()] != nil })
	w.waiting += len(waiting)
	w.missed += w.scan.unreadableOf(waiting, part)
	for group := range slices.Chunk(waiting, 20_000) {
		if err := db.Update(func(tx *bolt.Tx) error { return putCandidates(tx, w.r, group, &w.newest) }); err != nil {
			return err
		}
	}
	return nil
}

// end adds everything that is not a sample, and the numbers.
func (w *salvager) end(db *bolt.DB, result *Result) error {
	l := w.scan
	if l.problem() != nil {
		for seq, entry := range w.entries { // also those without any other copy
			if l.quarantine[seq] == nil {
				l.quarantine[seq] = entry
			}
		}
	}
	last := w.last
	for seq := range l.quarantine {
		last = max(last, seq)
	}
	expected := int64(0)
	if l.sequence <= max(w.watermark.Reserved, last+format.WatermarkStep) { // else it is a flipped bit
		last, expected = max(last, l.sequence), int64(l.sequence-l.settled)
	}
	last = max(last, w.watermark.Reserved)
	result.Salvaged = w.waiting
	result.Unreadable = max(int(min(expected, int64(last)))-w.waiting, w.missed)
	return db.Update(func(tx *bolt.Tx) error {
		if err := l.restore(tx); err != nil {
			return err
		}
		meta := tx.Bucket(format.MetaBucket)
		for _, key := range [][]byte{format.LastKey, format.NewestKey} { // a time beyond the next days is a flipped bit
			if stored := int64(format.Number(meta, key)); w.newest > 0 && (stored < w.newest || stored > w.newest+48*3600*1000) {
				if err := format.PutNumber(meta, key, uint64(w.newest)); err != nil {
					return err
				}
			}
		}
		return format.SetNumbers(last, last-uint64(w.waiting))(tx)
	})
}

// expected is about how many records there are in a file of that size, the few that are there twice included.
func (l *Scan) expected(size int64) uint64 {
	const usual = 256 // bytes of a record, with what a page costs
	if n := l.waiting + l.waiting/8; n > 0 {
		return min(n, uint64(size/format.HeaderBytes))
	}
	return uint64(size / usual)
}

// choose returns the best copy of each sample that may be waiting, in the order of their numbers, and the last number of
// all. It uses the memory of copies.
func choose(copies []candidate, m format.Watermark) (waiting []candidate, last uint64) {
	slices.SortFunc(copies, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.seq(), b.seq()), cmp.Compare(b.rank(), a.rank()), cmp.Compare(a.at(), b.at()))
	})
	waiting = copies[:0]
	for _, c := range copies {
		last = c.seq()
		if n := len(waiting); n > 0 && waiting[n-1].seq() == c.seq() {
			waiting[n-1].place |= c.place & pageInUse
			continue
		}
		waiting = append(waiting, c)
	}
	return slices.DeleteFunc(waiting, func(c candidate) bool { return c.rank()&pageInUse == 0 && c.seq() < m.Below }), last
}

// unreadableOf counts the samples of part that were seen to be damaged and of which there is no other copy.
func (l *Scan) unreadableOf(waiting []candidate, part span) (n int) {
	for _, seq := range l.unreadable {
		if seq < part.from || seq > part.to {
			continue
		}
		_, ok := slices.BinarySearchFunc(waiting, seq, func(c candidate, seq uint64) int { return cmp.Compare(c.seq(), seq) })
		if !ok && l.quarantine[seq] == nil {
			n++
		}
	}
	return n
}

// restore puts everything that is not a sample into a new spool.
func (l *Scan) restore(tx *bolt.Tx) error {
	for _, seq := range slices.Sorted(maps.Keys(l.quarantine)) {
		if err := tx.Bucket(format.QuarantineBucket).Put(format.Key(seq), l.quarantine[seq]); err != nil {
			return err
		}
	}
	for name, items := range l.others {
		b := tx.Bucket([]byte(name))
		last := l.numbers[name]
		if last >= 1<<40 { // a flipped bit
			last = 0
		}
		for _, i := range items {
			if b != nil && name != string(format.MetaBucket) && keyOf(i[0]) < 1<<40 {
				last = max(last, keyOf(i[0]))
			}
			if b != nil && b.Sequence() < last {
				if err := b.SetSequence(last); err != nil {
					return err
				}
			}
			key := string(i[0])
			if b == nil || len(key) == 0 || name == string(format.MetaBucket) && (key == string(format.SchemaKey) || key == string(format.SettledKey)) {
				continue
			}
			if err := b.Put(i[0], i[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// putCandidates puts records into the bucket where they belong. newest is the newest time of a sample, in ms.
func putCandidates(tx *bolt.Tx, r io.ReaderAt, copies []candidate, newest *int64) error {
	samples, undated, boots := tx.Bucket(format.SamplesBucket), tx.Bucket(format.UndatedBucket), tx.Bucket(format.BootsBucket)
	samples.FillPercent, undated.FillPercent = 0.95, 0.95
	for i, c := range copies {
		b := make([]byte, c.size())
		if _, err := r.ReadAt(b, c.at()); err != nil {
			return err
		}
		if seq, err := format.Check(b); err != nil || seq != c.seq() {
			return fmt.Errorf("sample %d changed while it was read", c.seq())
		}
		bucket := samples
		if c.rank()&timeKnown == 0 {
			bucket = undated
		}
		// What was known of its boot may be lost, but its number must not become another boot's.
		if boot, _ := binary.Uvarint(b[format.HeaderBytes:]); boot > boots.Sequence() && boot < 1<<32 {
			if err := boots.SetSequence(boot); err != nil {
				return err
			}
		}
		if err := bucket.Put(format.Key(c.seq()), b); err != nil {
			return err
		}
		if i < len(copies)-1 {
			continue
		}
		if record, err := format.Decode(c.seq(), b); err == nil {
			*newest = max(*newest, record.Sample.Time.UnixMilli()) // near enough: it is the last of its part
		}
	}
	return nil
}
