package api

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"sunspool/vps/batch"
	"sunspool/wire"
)

// BenchmarkIngest sends requests of 1000 new samples through the whole handler into the embedded store, and says which
// part of the time is decoding.
func BenchmarkIngest(b *testing.B) {
	s := newBench(b, func(s *Server) { s.Log = slog.New(slog.DiscardHandler) })
	d := batch.NewDecoder()
	var decoding, serving time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		body := contractBody(1000, testNow.AddDate(-10, 0, 0).Add(time.Duration(n)*5000*time.Second))
		b.StartTimer()
		began := time.Now()
		d.Body.Reset()
		d.Body.Write(body)
		if _, err := d.Decode([]string{"inv-1"}, testNow, wire.MaxSamples); err != nil {
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
