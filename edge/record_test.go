package edge

import (
	"slices"
	"testing"
)

func TestFlippedBitsAreNoMeasurement(t *testing.T) {
	sample := sampleAt(noon)
	good := (&Record{Seq: 7, Sample: sample}).encode()
	if _, err := decodeRecord(7, good); err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		bad := slices.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if r, err := decodeRecord(7, bad); err == nil {
			t.Fatalf("bit %d flipped still reads as %+v", i, r.Sample)
		}
	}
	if _, err := decodeRecord(8, good); err == nil {
		t.Error("the record of another number is accepted")
	}
}

func FuzzSpoolRecord(f *testing.F) {
	sample := sampleAt(noon)
	f.Add(uint64(7), (&Record{Seq: 7, Sample: sample}).encode())
	f.Add(uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, seq uint64, b []byte) {
		r, err := decodeRecord(seq, b)
		if err != nil {
			return
		}
		if again, err := decodeRecord(seq, r.encode()); err != nil || !again.Sample.Time.Equal(r.Sample.Time) {
			t.Errorf("%+v does not survive: %v", r, err)
		}
	})
}
