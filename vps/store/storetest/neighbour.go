//go:build unix

package storetest

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// Neighbour measures inserts of one device beside late samples of another one into so many spans that are full.
func Neighbour(b *testing.B, s store.Samples, spans int) {
	const each = 2000
	for i := range spans {
		for batch := range slices.Chunk(Houses(Noon.Add(time.Duration(i)*5*time.Minute), 100*time.Millisecond, 0, each), 1000) {
			if _, err := s.Insert(b.Context(), "dense", batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	n := 0
	measure := func(turns int) (all []time.Duration) {
		for range turns {
			n++
			began := time.Now()
			if _, err := s.Insert(b.Context(), "good", []wire.Sample{house(Noon, 5*time.Second, n)}); err != nil {
				b.Error(err)
			}
			all = append(all, time.Since(began))
			time.Sleep(10 * time.Millisecond) // a device has its pace
		}
		slices.Sort(all)
		return all
	}
	alone := measure(100)

	ctx, stop := context.WithCancel(b.Context())
	var g sync.WaitGroup
	var mu sync.Mutex
	var theirs []time.Duration
	for range 6 {
		g.Go(func() {
			for ctx.Err() == nil {
				var late []wire.Sample
				for i := range spans {
					late = append(late, house(Noon.Add(time.Duration(i)*5*time.Minute+rand.N(200*time.Second)), 1, 0))
				}
				began := time.Now()
				s.Insert(ctx, "dense", late)
				mu.Lock()
				theirs = append(theirs, time.Since(began))
				mu.Unlock()
			}
		})
	}
	b.ResetTimer()
	var beside []time.Duration
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		beside = append(beside, measure(10)...)
	}
	b.StopTimer()
	stop()
	g.Wait()
	slices.Sort(beside)
	slices.Sort(theirs)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(alone[len(alone)/2]), "ms-alone")
	b.ReportMetric(ms(beside[len(beside)/2]), "ms-p50")
	b.ReportMetric(ms(beside[len(beside)*99/100]), "ms-p99")
	b.ReportMetric(ms(beside[len(beside)-1]), "ms-worst")
	b.ReportMetric(ms(theirs[len(theirs)/2]), "ms-theirs")
	b.ReportMetric(float64(len(theirs)), "theirs")
}
