package edge

import (
	"bytes"
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
		r := Record{Seq: seq + 1, Sample: sampleAt(noon.Add(time.Duration(seq) * 5 * time.Second)), When: When{Quality: Synced}}
		file.Write(r.encode())
	}
	l := newLook(nil, int64(file.Len()), 4096)
	l.waiting = n
	l.live.set(0)
	found := search(bytes.NewReader(file.Bytes()), int64(file.Len()), l.inUse, l.expected(int64(file.Len())), anySample).copies
	if len(found) != n || found[n-1].seq() != n || found[n-1].rank() != timeKnown || found[0].rank() != timeKnown|pageInUse {
		t.Fatalf("%d copies found, from %+v to %+v", len(found), found[0], found[len(found)-1])
	}
	memory := &found[0]
	waiting, last := choose(found, mark{})
	if len(waiting) != n || last != n || &waiting[0] != memory || waiting[n-1].size() != len(file.Bytes())-int(waiting[n-1].at()) {
		t.Errorf("%d samples wait, up to %d; in the same memory: %v", len(waiting), last, &waiting[0] == memory)
	}
	if used := uintptr(cap(found)) * unsafe.Sizeof(found[0]); used > n*18 {
		t.Errorf("%d bytes for each of %d samples", used/n, n)
	}
}
