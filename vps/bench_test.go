package vps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sunspool/wire"
)

// contractBody is an ingest of n samples with the contract's fields until end, in the form that the original edge sends.
func contractBody(n int, end time.Time) []byte {
	var b strings.Builder
	b.WriteString(`{"samples": [`)
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		ts := end.Add(-time.Duration(n-i) * 5 * time.Second).UTC()
		fmt.Fprintf(&b, `{"device_id": "inv-1", "ts": "%s", "pv_power_w": %d.5, "pv_daily_kwh": 12.%d, "battery_power_w": -%d.0, "battery_soc_pct": 62.4, "battery_temp_c": 21.5, "load_power_w": 730.0, "export_power_w": 2000.25, "sample_count": 1}`,
			ts.Format("2006-01-02T15:04:05.000000+00:00"), 4000+i%97, i%10, i%2000)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// BenchmarkDecode compares the strict decoder with the lax one of the standard library on the same 1000 samples.
func BenchmarkDecode(b *testing.B) {
	body := contractBody(1000, testNow)
	list := body[strings.IndexByte(string(body), '[') : len(body)-1]
	decode := func() time.Duration {
		began := time.Now()
		d := decoders.Get().(*decoder)
		defer decoders.Put(d)
		d.body.Reset()
		d.body.Write(body)
		got, err := d.decode("inv-1", testNow, wire.MaxSamples)
		if err != nil || len(got.good) != 1000 {
			b.Fatal(len(got.good), got.problems, err)
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

// BenchmarkIngest sends requests of 1000 new samples through the whole handler into the embedded store, and says which
// part of the time is decoding.
func BenchmarkIngest(b *testing.B) {
	s := newBench(b, func(s *Server) { s.Log = slog.New(slog.DiscardHandler) })
	d := decoders.New().(*decoder)
	var decoding, serving time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		body := contractBody(1000, testNow.AddDate(-10, 0, 0).Add(time.Duration(n)*5000*time.Second))
		b.StartTimer()
		began := time.Now()
		d.body.Reset()
		d.body.Write(body)
		if _, err := d.decode("inv-1", testNow, wire.MaxSamples); err != nil {
			b.Fatal(err)
		}
		decoded := time.Now()
		if w := do(s.api, "POST", wire.IngestPath, token1, bytes.NewReader(body)); w.Body.String() != `{"inserted":1000}` {
			b.Fatal(w.Code, w.Body)
		}
		decoding, serving = decoding+decoded.Sub(began), serving+time.Since(decoded)
	}
	b.ReportMetric(1000*float64(n)/serving.Seconds(), "samples/s")
	b.ReportMetric(100*decoding.Seconds()/serving.Seconds(), "%decoding")
}
