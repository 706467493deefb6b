package salvage

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sunspool/edge/spool/format"
)

// candidate is where a copy of a record is, and how good it is. It is small because there may be millions of them: with the
// largest default size of a spool, these 16 bytes are most of the memory that the edge may use.
type candidate struct {
	record uint64 // the number of the sample, and below it 14 bits that are the length
	place  uint64 // in the file, and below it two bits: its time is known, it is in a page in use
}

const (
	lengthBits = 14
	timeKnown  = 2
	pageInUse  = 1
)

func (c candidate) seq() uint64  { return c.record >> lengthBits }
func (c candidate) size() int    { return int(c.record & (1<<lengthBits - 1)) }
func (c candidate) at() int64    { return int64(c.place >> 2) }
func (c candidate) rank() uint64 { return c.place & 3 }

type candidates struct {
	found   []candidate
	entries map[uint64][]byte // of the quarantine
	blocks  map[uint64]int    // copies by the upper bits of their numbers, kept or not
	total   int               // copies, kept or not
}

// span is the numbers of the samples whose copies are kept, and how many copies at most.
type span struct {
	from, to uint64
	most     int
}

const (
	Window       = 4 << 20
	longestEntry = 16 << 10 // of the quarantine
	MostCopies   = 2 << 20  // that are in memory at once: 32 MiB
	blockBits    = 8        // of the number of a sample: 256 are one block
)

// anySample is the span of all samples.
var anySample = span{0, ^uint64(0), MostCopies}

// spans divides all numbers into spans of at most so many copies each, as far as blocks allow.
func (f candidates) spans(most int) (all []span) {
	for _, block := range slices.Sorted(maps.Keys(f.blocks)) {
		n, from := f.blocks[block], block<<blockBits
		switch last := len(all) - 1; {
		case last < 0:
			all = append(all, span{0, anySample.to, n})
		case all[last].most+n <= most:
			all[last].most += n
		default:
			all[last].to = from - 1
			all = append(all, span{from, anySample.to, n})
		}
	}
	return all
}

var entryStart = []byte(`{"code":"`)

// search finds every record and every entry of the quarantine in the file, wherever it is. What cannot be read is skipped.
// It keeps the copies of within, or the first of them. expected is about how many records there are.
func search(r io.ReaderAt, size int64, inUse func(at int64) bool, expected uint64, within span) candidates {
	found := candidates{entries: make(map[uint64][]byte), blocks: make(map[uint64]int)}
	found.found = make([]candidate, 0, min(expected, uint64(within.most))) // growing would need twice as much
	b := make([]byte, Window+longestEntry)
	for from := int64(0); from < size; from += Window {
		b := b[:min(int64(len(b)), size-from)]
		readAround(r, b, from)
		for k := 0; k < min(len(b), Window); k++ {
			switch b[k] {
			case format.Version:
				record := format.Find(b[k:])
				if record == nil {
					continue
				}
				seq, _ := format.Check(record)
				found.blocks[seq>>blockBits]++
				found.total++
				if seq < within.from || seq > within.to || len(found.found) == within.most {
					continue
				}
				c := candidate{record: seq<<lengthBits | uint64(len(record)), place: uint64(from+int64(k)) << 2}
				if format.Quality(record[13]) != format.Undated {
					c.place |= timeKnown
				}
				if inUse(c.at()) {
					c.place |= pageInUse
				}
				found.found = append(found.found, c)
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
	var e format.Entry
	if json.Unmarshal(raw, &e) != nil || len(e.Record) == 0 {
		return 0, nil
	}
	seq, err := format.Check(e.Record)
	if err != nil && k >= 8 {
		seq = format.Seq(b[k-8:])
	}
	if seq == 0 || seq >= 1<<40 {
		return 0, nil
	}
	return seq, raw
}
