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

// BenchmarkReading asks for what a page shows, of a device-year that is stored at two densities, five times apart. The
// ratio of their costs belongs at one.
func BenchmarkReading(b *testing.B) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 12, 31, 22, 0, 0, 0, time.UTC)
	s := newBench(b, func(s *Server) {
		s.Log, s.Zone, s.Now = slog.New(slog.DiscardHandler), zone, func() time.Time { return now }
	})
	for device, step := range map[string]time.Duration{"inv-1": 24 * time.Second, "inv-2": 2 * time.Minute} {
		h := newHouse(1)
		var some []wire.Sample
		for at := now.AddDate(-1, 0, 0); at.Before(now); at = at.Add(step) {
			sample := h.live(at, at.Add(time.Millisecond))[0]
			if some = append(some, sample); len(some) == 10_000 {
				s.put(device, some)
				some = some[:0]
			}
		}
		s.put(device, some)
	}
	for _, c := range []struct{ what, query string }{
		{"energy-day", "/v1/energy?resolution=hour&compare=previous"},
		{"energy-month", "/v1/energy?resolution=day&compare=previous"},
		{"energy-year", "/v1/energy?resolution=month"},
		{"energy-year-of-days", "/v1/energy?resolution=day&from=2026-01-01&to=2026-12-31"},
		{"energy-all", "/v1/energy?resolution=year"},
		{"series-day", "/v1/series?resolution=auto"},
		{"series-year", "/v1/series?from=2026-01-01&to=2026-12-31"},
		{"capacity", "/v1/capacity/month/2026-12?"},
		{"continuity-year", "/v1/continuity?from=2026-01-01"},
		{"devices", "/v1/devices?"},
	} {
		b.Run(c.what, func(b *testing.B) {
			spent := map[string]time.Duration{}
			for b.Loop() {
				for _, device := range []string{"inv-1", "inv-2"} {
					began := time.Now()
					if w := s.get(c.query+"&device_id="+device, viewerAll); w.Code != 200 {
						b.Fatal(w.Code, w.Body)
					}
					spent[device] += time.Since(began)
				}
			}
			b.ReportMetric(spent["inv-1"].Seconds()*1e6/float64(b.N), "µs/answer")
			b.ReportMetric(spent["inv-1"].Seconds()/spent["inv-2"].Seconds(), "x-for-5x-samples")
		})
	}
}
