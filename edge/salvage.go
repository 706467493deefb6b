package edge

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"sunspool/health"
)

// A damaged spool is searched for records byte by byte, because a record says itself where it ends and whether it is
// whole. bbolt never writes over the pages of its last commit, so a file also holds older copies of them: the record
// that one page lost is often in another. But it also holds copies of samples that left the spool long ago. What is
// found is taken for waiting unless something says otherwise, because sending a sample again is harmless, the server has
// it under the same time, and losing one is not:
//
//	in the quarantine, by a page in use               it stays there
//	in a page in use                                  waiting
//	in the quarantine, by any copy of such an entry   it goes back there
//	a number below the mark beside the spool          gone: the server has it
//	anything else                                     waiting
//
// Of several copies of a record, one with its time known is better than one without.

// copyOf is where a copy of a record is, and how good it is.
type copyOf struct {
	seq  uint64
	at   int64
	size int32
	rank int8 // 2 for one whose time is known, 1 for one in a page in use
}

type finds struct {
	copies  []copyOf
	entries map[uint64][]byte // of the quarantine
}

const (
	searchWindow = 4 << 20
	longestEntry = 16 << 10 // of the quarantine
)

var entryStart = []byte(`{"code":"`)

// search finds every record and every entry of the quarantine in the file, wherever it is. What cannot be read is passed
// over.
func search(r io.ReaderAt, size int64, inUse func(at int64) bool) finds {
	found := finds{entries: make(map[uint64][]byte)}
	b := make([]byte, searchWindow+longestEntry)
	for from := int64(0); from < size; from += searchWindow {
		b := b[:min(int64(len(b)), size-from)]
		readAround(r, b, from)
		for k := 0; k < min(len(b), searchWindow); k++ {
			switch b[k] {
			case recordVersion:
				record := findRecord(b[k:])
				if record == nil {
					continue
				}
				seq, _ := checkRecord(record)
				c := copyOf{seq: seq, at: from + int64(k), size: int32(len(record))}
				if Quality(record[13]) != Undated {
					c.rank += 2
				}
				if inUse(c.at) {
					c.rank++
				}
				found.copies = append(found.copies, c)
			case entryStart[0]:
				if seq, entry := findEntry(b, k); entry != nil {
					found.entries[seq] = entry
				}
			}
		}
	}
	return found
}

// readAround fills b with what is at from, and zeros where the disk cannot read.
func readAround(r io.ReaderAt, b []byte, from int64) {
	if n, err := r.ReadAt(b, from); n == len(b) || err == io.EOF {
		clear(b[n:])
		return
	}
	for k := 0; k < len(b); k += 512 {
		sector := b[k:min(k+512, len(b))]
		if n, err := r.ReadAt(sector, from+int64(k)); err != nil {
			clear(sector[n:])
		}
	}
}

// findEntry returns the entry of the quarantine that begins at b[k], under the number of its sample, or, if that is
// damaged, the number that is before it.
func findEntry(b []byte, k int) (uint64, []byte) {
	if !bytes.HasPrefix(b[k:], entryStart) {
		return 0, nil
	}
	var raw json.RawMessage
	d := json.NewDecoder(bytes.NewReader(b[k:min(len(b), k+longestEntry)]))
	if d.Decode(&raw) != nil {
		return 0, nil
	}
	var e quarantineEntry
	if json.Unmarshal(raw, &e) != nil || len(e.Record) == 0 {
		return 0, nil
	}
	seq, err := checkRecord(e.Record)
	if err != nil && k >= 8 {
		seq = keySeq(b[k-8:])
	}
	if seq == 0 || seq >= 1<<40 {
		return 0, nil
	}
	return seq, raw
}

// replace sets the damaged file aside and puts a new spool in its place. The new one is whole and on the disk under a
// name of its own before the damaged one is touched, so a power cut leaves one or the other.
func (s *Spool) replace(file *os.File, d *damaged, m mark, found *Opening) error {
	defer func() {
		unlock(file)
		file.Close()
	}()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if s.Busy != nil {
		s.Busy(health.Patience(info.Size()))
	}
	fresh := s.path + ".new"
	text, _, _ := strings.Cut(d.Error(), "\n") // without the stack of a panic
	lost := Opening{Damage: text}
	err = caught(func() error { return salvage(file, info.Size(), d.look, m, fresh, &lost) })
	if err != nil && (hard(err) || clean(err)) { // the disk: nothing is lost as long as nothing is changed
		os.Remove(fresh)
		return fmt.Errorf("salvage %s: %w", s.path, err)
	} else if err != nil {
		lost = Opening{Damage: text + "; nothing could be salvaged: " + err.Error()}
		if err := writeSpool(fresh, numbered(m.Reserved, m.Reserved)); err != nil {
			return err
		}
	}
	if err := giveTo(fresh, info); err != nil {
		return err
	}
	if lost.Aside, err = freeName(s.path); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(fresh, salvagedPath(s.path)), syncDir(filepath.Dir(s.path))); err != nil {
		return err
	}
	if err := os.Rename(s.path, lost.Aside); err != nil {
		return err
	}
	if err := adoptSalvaged(s.path); err != nil {
		return err
	}
	file.Truncate(info.Size()) // gives back what was allocated beyond its end
	found.At, found.Damage, found.Aside = now(), lost.Damage, lost.Aside
	found.Salvaged += lost.Salvaged
	found.Unreadable += lost.Unreadable
	return nil
}

func freeName(path string) (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
}

// salvage makes a new spool at fresh of what is in the file.
func salvage(r io.ReaderAt, size int64, l *look, m mark, fresh string, result *Opening) error {
	found := search(r, size, l.inUse)
	waiting, last := choose(found.copies, m)
	if l.why() != nil { // what is in use may not be all
		for seq, entry := range found.entries {
			at, ok := slices.BinarySearchFunc(waiting, seq, func(c copyOf, seq uint64) int { return cmp.Compare(c.seq, seq) })
			if takenBack := ok && waiting[at].rank&1 != 0; !takenBack && l.quarantine[seq] == nil {
				l.quarantine[seq] = entry
			}
		}
	}
	waiting = slices.DeleteFunc(waiting, func(c copyOf) bool { return l.quarantine[c.seq] != nil })
	for seq := range l.quarantine {
		last = max(last, seq)
	}
	expected := int64(0)
	if l.sequence <= max(m.Reserved, last+markStep) { // else it is a flipped bit
		last, expected = max(last, l.sequence), int64(l.sequence-l.settled)
	}
	last = max(last, m.Reserved)
	result.Salvaged = len(waiting)
	result.Unreadable = max(int(min(expected, int64(last)))-len(waiting), l.lostOf(waiting))

	steps := []func(*bolt.Tx) error{numbered(last, last-uint64(len(waiting))), l.restore}
	newest := int64(0) // ms
	for part := range slices.Chunk(waiting, 20_000) {
		steps = append(steps, func(tx *bolt.Tx) error { return putCopies(tx, r, part, &newest) })
	}
	steps = append(steps, func(tx *bolt.Tx) error { // a time beyond the next days is a flipped bit
		meta := tx.Bucket(metaBucket)
		for _, key := range [][]byte{lastTSKey, newestTSKey} {
			if said := int64(number(meta, key)); newest > 0 && (said < newest || said > newest+48*3600*1000) {
				if err := putNumber(meta, key, uint64(newest)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return writeSpool(fresh, steps...)
}

// choose returns the best copy of each sample that may be waiting, in the order of their numbers, and the last number of
// all.
func choose(copies []copyOf, m mark) (waiting []copyOf, last uint64) {
	slices.SortFunc(copies, func(a, b copyOf) int {
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(b.rank, a.rank), cmp.Compare(a.at, b.at))
	})
	for _, c := range copies {
		last = c.seq
		if n := len(waiting); n > 0 && waiting[n-1].seq == c.seq {
			waiting[n-1].rank |= c.rank & 1
			continue
		}
		waiting = append(waiting, c)
	}
	return slices.DeleteFunc(waiting, func(c copyOf) bool { return c.rank&1 == 0 && c.seq < m.Below }), last
}

// lostOf counts the samples that were seen to be damaged and of which there is no other copy.
func (l *look) lostOf(waiting []copyOf) (n int) {
	for _, seq := range l.unreadable {
		_, ok := slices.BinarySearchFunc(waiting, seq, func(c copyOf, seq uint64) int { return cmp.Compare(c.seq, seq) })
		if !ok && l.quarantine[seq] == nil {
			n++
		}
	}
	return n
}

// restore puts what is no sample into a new spool.
func (l *look) restore(tx *bolt.Tx) error {
	for _, seq := range slices.Sorted(maps.Keys(l.quarantine)) {
		if err := tx.Bucket(quarantineBucket).Put(seqKey(seq), l.quarantine[seq]); err != nil {
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
			if b != nil && name != string(metaBucket) && keyOf(i[0]) < 1<<40 {
				last = max(last, keyOf(i[0]))
			}
			if b != nil && b.Sequence() < last {
				if err := b.SetSequence(last); err != nil {
					return err
				}
			}
			key := string(i[0])
			if b == nil || len(key) == 0 || name == string(metaBucket) && (key == string(schemaKey) || key == string(settledKey)) {
				continue
			}
			if err := b.Put(i[0], i[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// putCopies puts records into the bucket where they belong. newest is the newest time of a sample, in ms.
func putCopies(tx *bolt.Tx, r io.ReaderAt, copies []copyOf, newest *int64) error {
	samples, undated, boots := tx.Bucket(samplesBucket), tx.Bucket(undatedBucket), tx.Bucket(bootsBucket)
	samples.FillPercent, undated.FillPercent = 0.95, 0.95
	for i, c := range copies {
		b := make([]byte, c.size)
		if _, err := r.ReadAt(b, c.at); err != nil {
			return err
		}
		if seq, err := checkRecord(b); err != nil || seq != c.seq {
			return fmt.Errorf("sample %d changed while it was read", c.seq)
		}
		bucket := samples
		if c.rank&2 == 0 {
			bucket = undated
		}
		// What was known of its boot may be lost, but its number must not become another boot's.
		if boot, _ := binary.Uvarint(b[recordHeader:]); boot > boots.Sequence() && boot < 1<<32 {
			if err := boots.SetSequence(boot); err != nil {
				return err
			}
		}
		if err := bucket.Put(seqKey(c.seq), b); err != nil {
			return err
		}
		if i < len(copies)-1 {
			continue
		}
		if record, err := decodeRecord(c.seq, b); err == nil {
			*newest = max(*newest, record.Sample.Time.UnixMilli()) // near enough: it is the last of its part
		}
	}
	return nil
}

// numbered sets the last number that was given, and how many of them have left.
func numbered(last, settled uint64) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		return errors.Join(tx.Bucket(samplesBucket).SetSequence(last), putNumber(tx.Bucket(metaBucket), settledKey, settled))
	}
}
