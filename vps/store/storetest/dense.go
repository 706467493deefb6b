package storetest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// Tenth is sample i of a device that is read ten times a second from noon on, and fills its five minutes.
func Tenth(i int) wire.Sample { return house(Noon, 100*time.Millisecond, i) }

// Tenths are the samples from one index to another of Tenth.
func Tenths(from, to int) (all []wire.Sample) {
	for i := from; i < to; i++ {
		all = append(all, Tenth(i))
	}
	return all
}

// Fill inserts samples that are all new.
func Fill(t *testing.T, s store.Samples, device string, samples []wire.Sample) {
	t.Helper()
	for batch := range slices.Chunk(samples, 1000) {
		Insert(t, s, device, len(batch), batch...)
	}
}

// TooDense expects that the samples with these indexes, and no others, are in the way.
func TooDense(t *testing.T, s store.Samples, device string, samples []wire.Sample, want ...int) {
	t.Helper()
	n, err := s.Insert(t.Context(), device, samples)
	dense, ok := errors.AsType[*store.TooDense](err)
	if !ok || !errors.Is(err, store.ErrRefused) || n != 0 || !slices.Equal(dense.Indexes, want) {
		t.Fatalf("%d inserted, %v; want %d of %d samples too dense", n, err, len(want), len(samples))
	}
}

func fiveMinutesHaveRoomForSoMany(t *testing.T, s store.Samples) {
	all := Tenths(0, store.MostInSpan)
	Insert(t, s, "a", 1, all[700])
	TooDense(t, s, "a", append(slices.Clone(all), TenthPlus(1, 1), TenthPlus(2, 1)), store.MostInSpan, store.MostInSpan+1)
	Insert(t, s, "a", 0, all[700])
	Fill(t, s, "a", slices.Delete(slices.Clone(all), 700, 701))
	IsRecount(t, s, "a", all)

	Insert(t, s, "a", 0, all...) // as an edge does whose answer was lost
	Insert(t, s, "a", 0, all[0], TenthPlus(0, 0))
	next := Tenth(store.MostInSpan) // of the next five minutes
	TooDense(t, s, "a", []wire.Sample{all[5], TenthPlus(5, 1), next, next, TenthPlus(5, 1), TenthPlus(5, 2)}, 1, 4, 5)
	TooDense(t, s, "a", []wire.Sample{Tenth(-1), At(Noon.Add(5*time.Minute-time.Millisecond), 1)}, 1)
	IsRecount(t, s, "a", all)
	Insert(t, s, "a", 2, all[5], next, next, Tenth(-1))
	IsRecount(t, s, "a", append(slices.Clone(all), next, Tenth(-1)))
	Insert(t, s, "b", 1, TenthPlus(5, 1))
}

// So have those whose samples are pruned: these are still counted.
func prunedFiveMinutesHaveRoomForSoMany(t *testing.T, s store.Samples) {
	all := Tenths(20, store.MostInSpan)
	for i := range 19 {
		all = append(all, TenthPlus(20+i, 50))
	}
	Fill(t, s, "a", all)
	Insert(t, s, "a", 1, At(Noon.AddDate(0, 0, 1), 1))
	if n, err := s.Prune(t.Context(), Noon.Add(time.Hour)); n != int64(len(all)) || err != nil {
		t.Fatal(n, err)
	}
	Insert(t, s, "a", 0, all...)
	TooDense(t, s, "a", []wire.Sample{all[0], Tenth(0), Tenth(1), Tenth(1)}, 2, 3)
	Insert(t, s, "a", 1, all[0], Tenth(1))
	TooDense(t, s, "a", []wire.Sample{Tenth(0)}, 0)
	Insert(t, s, "a", 0, Tenth(1))
	Insert(t, s, "a", 0, all...)
}

// ManyMayNotFillFiveMinutesTogether tests stores of one database with writers that together have more than MostInSpan.
func ManyMayNotFillFiveMinutesTogether(t *testing.T, stores ...store.Samples) {
	Fill(t, stores[0], "a", Tenths(0, store.MostInSpan-100))
	var g sync.WaitGroup
	var mu sync.Mutex
	stored := Tenths(0, store.MostInSpan-100)
	for w := range 8 {
		g.Go(func() {
			for i := range 30 {
				n := store.MostInSpan - 100 + w + 8*(i%12) // each three times
				batch := []wire.Sample{TenthPlus(n, 1), TenthPlus(n, 2)}
				inserted, err := stores[w%len(stores)].Insert(t.Context(), "a", batch)
				_, dense := errors.AsType[*store.TooDense](err)
				if err != nil && (!dense || inserted != 0) {
					t.Error(inserted, err)
				}
				if mu.Lock(); inserted > 0 {
					stored = append(stored, batch...)
				}
				mu.Unlock()
			}
		})
	}
	g.Wait()
	if len(stored) != store.MostInSpan {
		t.Errorf("%d samples were called new in all, there is room for %d", len(stored), store.MostInSpan)
	}
	IsRecount(t, stores[0], "a", stored)
}

// Of very many samples that come late at once, not all the rollups are computed at once.
func lateSamplesOfManySpansAreInTheNextAnswer(t *testing.T, s store.Samples) {
	r := rand.New(rand.NewPCG(51, 52))
	all := Random(r, Noon, time.Hour, 6000)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n := 5900
	slices.SortFunc(all[:n], func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	Fill(t, s, "a", all[:n])
	for ; n < len(all); n += 20 {
		Insert(t, s, "a", 20, all[n:n+20]...)
		IsRecount(t, s, "a", all[:n+20])
	}
	Insert(t, s, "a", 0, all[:1000]...)
	Insert(t, s, "a", 1, At(Noon.Add(time.Hour), 1))
	Insert(t, s, "a", 1, At(Noon.Add(3*time.Hour), 1))
	IsRecount(t, s, "a", append(slices.Clone(all), At(Noon.Add(time.Hour), 1), At(Noon.Add(3*time.Hour), 1)))
}

// insertCostsByWhatItAdds compares late samples in spans that are nearly full with such in spans that have a hundredth of that.
func insertCostsByWhatItAdds(t *testing.T, s store.Samples) {
	const spans, turns, most = 12, 9, 100 // more turns where a busy machine has not let any be quick
	full, thin := Noon, Noon.AddDate(0, 0, 2)
	for i := range spans {
		start := time.Duration(i) * 5 * time.Minute
		Fill(t, s, "a", Houses(full.Add(start), 101*time.Millisecond, 0, store.MostInSpan-most-100))
		Fill(t, s, "a", Houses(thin.Add(start), 10100*time.Millisecond, 0, store.MostInSpan/100))
	}
	least := map[time.Time]time.Duration{full: time.Hour, thin: time.Hour}
	dear := func() bool { return least[full] > 10*least[thin] }
	for turn := 0; turn < turns || dear() && turn < most; turn++ {
		for _, at := range []time.Time{full, thin} {
			var late []wire.Sample
			for i := range spans {
				late = append(late, house(at.Add(time.Duration(i)*5*time.Minute+time.Duration(turn+1)*time.Millisecond), 1, 0))
			}
			began := time.Now()
			Insert(t, s, "a", spans, late...)
			least[at] = min(least[at], time.Since(began))
		}
	}
	if dear() {
		t.Errorf("%d samples cost %v where there are many, %v where there are few", spans, least[full], least[thin])
	}
}

// TenthPlus is sample i of Tenth, some ms later.
func TenthPlus(i, ms int) wire.Sample {
	s := Tenth(i)
	s.Time = s.Time.Add(time.Duration(ms) * time.Millisecond)
	return s
}
