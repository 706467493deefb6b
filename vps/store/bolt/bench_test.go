package bolt

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
)

// BenchmarkInsert compares with the least that could be done: the same rows put and committed by bbolt alone, rollups
// and validation not included, batch by batch in the same run.
func BenchmarkInsert(b *testing.B) {
	for _, n := range []int{30, 1000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			tested, bare := opened(b, b.TempDir()), bareBolt(b)
			var ours, floor time.Duration
			i := 0
			for b.Loop() {
				samples := storetest.Houses(storetest.Noon, 5*time.Second, i, n)
				i += n
				start := time.Now()
				if got, err := tested.Insert(b.Context(), "a", samples); got != n || err != nil {
					b.Fatal(got, err)
				}
				ours += time.Since(start)

				w := newWrite("a")
				w.pack(samples)
				start = time.Now()
				if err := bare.Update(func(tx *bbolt.Tx) error {
					bucket := tx.Bucket(metaBucket)
					bucket.FillPercent = 0.95
					for _, r := range w.rows {
						if err := bucket.Put(key(r.ms), r.value); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
				floor += time.Since(start)
			}
			b.ReportMetric(float64(i)/ours.Seconds(), "rows/s")
			b.ReportMetric(100*floor.Seconds()/ours.Seconds(), "%-of-bare-bbolt")
		})
	}
}

func bareBolt(b *testing.B) *bbolt.DB {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, options())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.AllocSize = allocSize
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(metaBucket); return err }); err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkRepeatedInsert sends again what is stored: the edge after a lost answer.
func BenchmarkRepeatedInsert(b *testing.B) {
	tested := opened(b, b.TempDir())
	samples := storetest.Houses(storetest.Noon, 5*time.Second, 0, 1000)
	for b.Loop() {
		if _, err := tested.Insert(b.Context(), "a", samples); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(samples))/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkParallelInsert is what group commit is for: 16 connections, 30 samples each.
func BenchmarkParallelInsert(b *testing.B) {
	tested := opened(b, b.TempDir())
	devices := make(chan string, 64)
	for i := range cap(devices) {
		devices <- fmt.Sprint("device-", i)
	}
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		device := <-devices
		for i := 0; p.Next(); i += 30 {
			if _, err := tested.Insert(b.Context(), device, storetest.Houses(storetest.Noon, 5*time.Second, i, 30)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*30)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkSeries asks for the four frames of a year that is stored at two densities, ten times apart. The ratio of
// their costs belongs at one.
func BenchmarkSeries(b *testing.B) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		b.Fatal(err)
	}
	tested := opened(b, b.TempDir())
	begin, end := time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)
	for device, step := range map[string]time.Duration{"dense": 50 * time.Second, "sparse": 500 * time.Second} {
		for i, n := 0, int(end.Sub(begin)/step); i < n; i += 10_000 {
			if _, err := tested.Insert(b.Context(), device, storetest.Houses(begin, step, i, min(10_000, n-i))); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		frame string
		q     store.Query
	}{
		{"day", store.Query{From: time.Date(2026, 10, 25, 0, 0, 0, 0, zone), To: time.Date(2026, 10, 26, 0, 0, 0, 0, zone), Resolution: store.Hour}},
		{"month", store.Query{From: time.Date(2026, 10, 1, 0, 0, 0, 0, zone), To: time.Date(2026, 11, 1, 0, 0, 0, 0, zone), Resolution: store.Day}},
		{"year", store.Query{From: begin, To: end, Resolution: store.Month}},
		{"all", store.Query{Resolution: store.Month}},
		{"year-of-days", store.Query{From: begin, To: end, Resolution: store.Day}},
	} {
		b.Run(c.frame, func(b *testing.B) {
			c.q.Zone = zone
			spent := map[string]time.Duration{}
			for b.Loop() {
				for _, c.q.Device = range []string{"dense", "sparse"} {
					start := time.Now()
					if got, err := tested.Periods(b.Context(), c.q); err != nil || len(got) < 12 {
						b.Fatal(len(got), err)
					}
					spent[c.q.Device] += time.Since(start)
				}
			}
			b.ReportMetric(spent["dense"].Seconds()*1e6/float64(b.N), "µs/series")
			b.ReportMetric(spent["dense"].Seconds()/spent["sparse"].Seconds(), "x-for-10x-samples")
		})
	}
}

func BenchmarkLatest(b *testing.B) {
	inner := open(b, b.TempDir())
	for name, tested := range map[string]store.Samples{"bolt": inner, "cached": store.NewCached(inner, time.Hour)} {
		b.Run(name, func(b *testing.B) {
			if _, err := tested.Insert(b.Context(), "a", storetest.Houses(storetest.Noon, 5*time.Second, 0, 1000)); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := tested.Latest(b.Context(), "a"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	inner.Close()
}

// BenchmarkNeighbour inserts a sample of one device while another one sends late samples into many spans that are full, on
// six connections. The ratio is to the same insert without that.
func BenchmarkNeighbour(b *testing.B) {
	for _, spans := range []int{1, 90} {
		b.Run(fmt.Sprintf("spans=%d", spans), func(b *testing.B) { storetest.Neighbour(b, opened(b, b.TempDir()), spans) })
	}
}
