package batch

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"sunspool/internal/vpstest"
	"sunspool/wire"
)

// BenchmarkDecode compares the strict decoder with the lax ones of the standard library and of its successor, which decode
// the same 1000 samples into structs and stop at the first wrong field.
func BenchmarkDecode(b *testing.B) {
	body := vpstest.ContractBody(1000, vpstest.Now)
	list := body[strings.IndexByte(string(body), '[') : len(body)-1]
	decode := func() time.Duration {
		began := time.Now()
		d := decoders.Get().(*Decoder)
		defer decoders.Put(d)
		d.Body.Reset()
		d.Body.Write(body)
		got, err := d.Decode([]string{"inv-1"}, vpstest.Now, wire.MaxSamples)
		if err != nil || len(got.Good) != 1000 {
			b.Fatal(len(got.Good), got.Problems, err)
		}
		return time.Since(began)
	}
	unmarshal := func(into func([]byte, any) error) time.Duration {
		began := time.Now()
		var samples []wire.Sample
		if err := into(list, &samples); err != nil || len(samples) != 1000 {
			b.Fatal(len(samples), err)
		}
		return time.Since(began)
	}
	var ours, v1, v2 time.Duration
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() { // interleaved, so that a busy machine slows all
		ours += decode()
		v1 += unmarshal(json.Unmarshal)
		v2 += unmarshal(func(text []byte, to any) error { return jsonv2.Unmarshal(text, to) })
	}
	b.ReportMetric(float64(v1)/float64(ours), "x_as_fast_as_encoding/json")
	b.ReportMetric(float64(v2)/float64(ours), "x_as_fast_as_json/v2")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N)/1000, "ns/sample")
}
