package spool

import (
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
)

// What is known is not decoded again, but only if it is what the file has.
func TestPeekAgainReturnsWhatPeekReturns(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	fill(t, s, 10)
	want := peek(t, s, 10)
	known := peek(t, s, 8)[1:]
	known[2].Sum++ // the file has another one by now
	known[2].Sample.DeviceID = "other"
	known[4].Sample.Values = nil // shows where it comes from
	if err := s.Settle([]uint64{want[6].Seq}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.PeekAgain(known, 9, nil)
	if err != nil || len(got) != 9 {
		t.Fatal(len(got), err)
	}
	for i, r := range append(want[:6:6], want[7:]...) {
		if got[i].Seq != r.Seq || got[i].Sum != r.Sum || got[i].Sample.DeviceID != r.Sample.DeviceID || (got[i].Sample.Values == nil) != (r.Seq == known[4].Seq) {
			t.Errorf("record %d is %+v, want %+v", i, got[i], r)
		}
	}
}

func TestPreviewLeavesDamagedRecordsToPeek(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	fill(t, s, 3)
	err := s.exec(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket(format.SamplesBucket)
			v := append([]byte(nil), b.Get(format.Key(2))...)
			v[len(v)-1] ^= 1
			return b.Put(format.Key(2), v)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Preview(nil, 3, nil); err != nil || len(got) != 2 || s.InQuarantine() != 0 {
		t.Fatal(len(got), "previewed,", s.InQuarantine(), "in quarantine,", err)
	}
	if got := peek(t, s, 3); len(got) != 2 || s.InQuarantine() != 1 {
		t.Fatal(len(got), "peeked,", s.InQuarantine(), "in quarantine")
	}
}
