package batch

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sunspool/internal/vpstest"
	"sunspool/wire"
)

// BenchmarkDecode compares the strict decoder with the lax one of the standard library on the same 1000 samples.
func BenchmarkDecode(b *testing.B) {
	body := vpstest.ContractBody(1000, vpstest.Now)
	list := body[strings.IndexByte(string(body), '[') : len(body)-1]
	decode := func() time.Duration {
		began := time.Now()
		d := decoders.Get().(*Decoder)
		defer decoders.Put(d)
		d.Body.Reset()
		d.Body.Write(body)
		got, err := d.Decode("inv-1", vpstest.Now, wire.MaxSamples)
		if err != nil || len(got.Good) != 1000 {
			b.Fatal(len(got.Good), got.Problems, err)
		}
		return time.Since(began)
	}
	unmarshal := func() time.Duration {
		began := time.Now()
		var samples []wire.Sample
		if err := json.Unmarshal(list, &samples); err != nil || len(samples) != 1000 {
			b.Fatal(len(samples), err)
		}
		return time.Since(began)
	}
	var ours, theirs time.Duration
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() { // interleaved, so that a busy machine slows both
		ours += decode()
		theirs += unmarshal()
	}
	b.ReportMetric(float64(theirs)/float64(ours), "x_as_fast_as_encoding/json")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N)/1000, "ns/sample")
}
