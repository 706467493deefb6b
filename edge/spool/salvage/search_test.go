package salvage

import (
	"bytes"
	"sunspool/edge/spool/format"
	"testing"
	"time"
	"unsafe"
)

// Where the records of a spool are is kept in memory while it is salvaged. A spool of the usual limit has four million,
// and the service 100 MiB: 16 bytes for each, once.
func TestSearchForRecordsNeedsLittleMemory(t *testing.T) {
	const n = 5000
	var file bytes.Buffer
	for seq := range uint64(n) {
		r := format.Record{Seq: seq + 1, Sample: sampleAt(noon.Add(time.Duration(seq) * 5 * time.Second)), When: format.When{Quality: format.Synced}}
		file.Write(r.Encode())
	}
	l := newScan(nil, int64(file.Len()), 4096)
	l.waiting = n
	l.usedPages.set(0)
	found := search(bytes.NewReader(file.Bytes()), int64(file.Len()), l.inUse, l.expected(int64(file.Len())), anySample).found
	if len(found) != n || found[n-1].seq() != n || found[n-1].rank() != timeKnown || found[0].rank() != timeKnown|pageInUse {
		t.Fatalf("%d copies found, from %+v to %+v", len(found), found[0], found[len(found)-1])
	}
	memory := &found[0]
	waiting, last := choose(found, format.Watermark{})
	if len(waiting) != n || last != n || &waiting[0] != memory || waiting[n-1].size() != len(file.Bytes())-int(waiting[n-1].at()) {
		t.Errorf("%d samples wait, up to %d; in the same memory: %v", len(waiting), last, &waiting[0] == memory)
	}
	if used := uintptr(cap(found)) * unsafe.Sizeof(found[0]); used > n*18 {
		t.Errorf("%d bytes for each of %d samples", used/n, n)
	}
}

// However many copies of records a file has, no more are in memory than may be.
func TestSearchKeepsNoMoreCopiesThanItMay(t *testing.T) {
	var file bytes.Buffer
	const n, most = 5000, 600
	for range 2 { // older copies, too
		for seq := range uint64(n) {
			r := format.Record{Seq: 3*seq + 1, Sample: sampleAt(noon), When: format.When{Quality: format.Synced}}
			file.Write(r.Encode())
		}
	}
	none := func(int64) bool { return false }
	size := int64(file.Len())
	all := search(bytes.NewReader(file.Bytes()), size, none, n, span{0, anySample.to, most})
	if len(all.found) != most || cap(all.found) != most || all.total != 2*n {
		t.Fatalf("%d copies in the memory of %d, of %d", len(all.found), cap(all.found), all.total)
	}
	seen, next := 0, uint64(0)
	for _, part := range all.spans(most) {
		if part.from != next || part.to < part.from {
			t.Fatalf("%+v follows %d", part, next)
		}
		next = part.to + 1
		found := search(bytes.NewReader(file.Bytes()), size, none, uint64(part.most), part).found
		if len(found) != part.most || cap(found) > most {
			t.Errorf("%+v has %d copies in the memory of %d", part, len(found), cap(found))
		}
		seen += len(found)
	}
	if seen != 2*n || next != 0 {
		t.Errorf("%d copies of %d in all parts, up to %d", seen, 2*n, next)
	}
}
