package format_test

import (
	"slices"
	"testing"

	"sunspool/edge/spool/format"
	"sunspool/edge/spool/spooltest"
)

func TestFlippedBitsAreNoMeasurement(t *testing.T) {
	sample := spooltest.SampleAt(spooltest.Noon)
	good := (&format.Record{Seq: 7, Sample: sample}).Encode()
	if _, err := format.Decode(7, good); err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		bad := slices.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if r, err := format.Decode(7, bad); err == nil {
			t.Fatalf("bit %d flipped still reads as %+v", i, r.Sample)
		}
	}
	if _, err := format.Decode(8, good); err == nil {
		t.Error("the record of another number is accepted")
	}
}

func FuzzSpoolRecord(f *testing.F) {
	sample := spooltest.SampleAt(spooltest.Noon)
	f.Add(uint64(7), (&format.Record{Seq: 7, Sample: sample}).Encode())
	f.Add(uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, seq uint64, b []byte) {
		r, err := format.Decode(seq, b)
		if err != nil {
			return
		}
		if again, err := format.Decode(seq, r.Encode()); err != nil || !again.Sample.Time.Equal(r.Sample.Time) {
			t.Errorf("%+v does not survive: %v", r, err)
		}
	})
}
