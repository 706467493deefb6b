package spool

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestRequeuedSampleIsByteForByteTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	fill(t, s, 5)
	before := peek(t, s, 5)
	if err := s.Settle(nil, []Rejection{{Seq: 2, Code: "x"}, {Seq: 4, Code: "y"}}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Requeue(func(p Rejection) bool { return p.Code == "y" }); n != 1 || err != nil {
		t.Fatalf("%d moved, %v", n, err)
	}
	if s.Waiting() != 4 || s.InQuarantine() != 1 {
		t.Errorf("%d waiting, %d in quarantine", s.Waiting(), s.InQuarantine())
	}
	after := peek(t, s, 5)
	if !slices.Equal(seqs(after), []uint64{1, 3, 4, 5}) || !slices.Equal(after[2].Encode(), before[3].Encode()) {
		t.Errorf("%v wait, and number 4 is %+v", seqs(after), after[2])
	}
	s.Close()
	if again := openSpool(t, path); again.Waiting() != 4 || again.InQuarantine() != 1 {
		t.Errorf("after a restart %d waiting, %d in quarantine", again.Waiting(), again.InQuarantine())
	}
}
