package store

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sunspool/wire"
)

// tenth is sample i of a device that is read ten times a second from noon on, and fills its five minutes.
func tenth(i int) wire.Sample { return house(noon, 100*time.Millisecond, i) }

func tenths(from, to int) (all []wire.Sample) {
	for i := from; i < to; i++ {
		all = append(all, tenth(i))
	}
	return all
}

func fill(t *testing.T, s Samples, device string, samples []wire.Sample) {
	t.Helper()
	for batch := range slices.Chunk(samples, 1000) {
		insert(t, s, device, len(batch), batch...)
	}
}

// tooDense expects that the samples with these indexes, and no others, are in the way.
func tooDense(t *testing.T, s Samples, device string, samples []wire.Sample, want ...int) {
	t.Helper()
	n, err := s.Insert(t.Context(), device, samples)
	dense, ok := errors.AsType[*TooDense](err)
	if !ok || !errors.Is(err, ErrRefused) || n != 0 || !slices.Equal(dense.Indexes, want) {
		t.Fatalf("%d inserted, %v; want %d of %d samples too dense", n, err, len(want), len(samples))
	}
}

func fiveMinutesHaveRoomForSoMany(t *testing.T, s Samples) {
	all := tenths(0, MostInSpan)
	insert(t, s, "a", 1, all[700])
	tooDense(t, s, "a", append(slices.Clone(all), tenthPlus(1, 1), tenthPlus(2, 1)), MostInSpan, MostInSpan+1)
	insert(t, s, "a", 0, all[700])
	fill(t, s, "a", slices.Delete(slices.Clone(all), 700, 701))
	isRecount(t, s, "a", all)

	insert(t, s, "a", 0, all...) // as an edge does whose answer was lost
	insert(t, s, "a", 0, all[0], tenthPlus(0, 0))
	next := tenth(MostInSpan) // of the next five minutes
	tooDense(t, s, "a", []wire.Sample{all[5], tenthPlus(5, 1), next, next, tenthPlus(5, 1), tenthPlus(5, 2)}, 1, 4, 5)
	tooDense(t, s, "a", []wire.Sample{tenth(-1), at(noon.Add(5*time.Minute-time.Millisecond), 1)}, 1)
	isRecount(t, s, "a", all)
	insert(t, s, "a", 2, all[5], next, next, tenth(-1))
	isRecount(t, s, "a", append(slices.Clone(all), next, tenth(-1)))
	insert(t, s, "b", 1, tenthPlus(5, 1))
}

// So have those whose samples are pruned: they are still counted.
func prunedFiveMinutesHaveRoomForSoMany(t *testing.T, s Samples) {
	all := tenths(20, MostInSpan)
	for i := range 19 {
		all = append(all, tenthPlus(20+i, 50))
	}
	fill(t, s, "a", all)
	insert(t, s, "a", 1, at(noon.AddDate(0, 0, 1), 1))
	if n, err := s.Prune(t.Context(), noon.Add(time.Hour)); n != int64(len(all)) || err != nil {
		t.Fatal(n, err)
	}
	insert(t, s, "a", 0, all...)
	tooDense(t, s, "a", []wire.Sample{all[0], tenth(0), tenth(1), tenth(1)}, 2, 3)
	insert(t, s, "a", 1, all[0], tenth(1))
	tooDense(t, s, "a", []wire.Sample{tenth(0)}, 0)
	insert(t, s, "a", 0, tenth(1))
	insert(t, s, "a", 0, all...)
}

func manyMayNotFillFiveMinutesTogether(t *testing.T, stores ...Samples) {
	fill(t, stores[0], "a", tenths(0, MostInSpan-100))
	var g sync.WaitGroup
	var mu sync.Mutex
	stored := tenths(0, MostInSpan-100)
	for w := range 8 {
		g.Go(func() {
			for i := range 30 {
				n := MostInSpan - 100 + w + 8*(i%12) // each three times
				batch := []wire.Sample{tenthPlus(n, 1), tenthPlus(n, 2)}
				inserted, err := stores[w%len(stores)].Insert(t.Context(), "a", batch)
				_, dense := errors.AsType[*TooDense](err)
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
	if len(stored) != MostInSpan {
		t.Errorf("%d samples were called new in all, there is room for %d", len(stored), MostInSpan)
	}
	isRecount(t, stores[0], "a", stored)
}

// Of very many samples that come late at once, not all the rollups are computed at once.
func lateSamplesOfManySpansAreInTheNextAnswer(t *testing.T, s Samples) {
	r := rand.New(rand.NewPCG(51, 52))
	all := random(r, noon, time.Hour, 6000)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n := 5900
	slices.SortFunc(all[:n], func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	fill(t, s, "a", all[:n])
	for ; n < len(all); n += 20 {
		insert(t, s, "a", 20, all[n:n+20]...)
		isRecount(t, s, "a", all[:n+20])
	}
	insert(t, s, "a", 0, all[:1000]...)
	insert(t, s, "a", 1, at(noon.Add(time.Hour), 1))
	insert(t, s, "a", 1, at(noon.Add(3*time.Hour), 1))
	isRecount(t, s, "a", append(slices.Clone(all), at(noon.Add(time.Hour), 1), at(noon.Add(3*time.Hour), 1)))
}

// insertCostsByWhatItAdds compares late samples in spans that are nearly full with such in spans that have a hundredth of that.
func insertCostsByWhatItAdds(t *testing.T, s Samples) {
	const spans, turns = 12, 9
	full, thin := noon, noon.AddDate(0, 0, 2)
	for i := range spans {
		start := time.Duration(i) * 5 * time.Minute
		fill(t, s, "a", houses(full.Add(start), 101*time.Millisecond, 0, MostInSpan-turns-100))
		fill(t, s, "a", houses(thin.Add(start), 10100*time.Millisecond, 0, MostInSpan/100))
	}
	spent := map[time.Time][]time.Duration{}
	for turn := range turns {
		for _, at := range []time.Time{full, thin} {
			var late []wire.Sample
			for i := range spans {
				late = append(late, house(at.Add(time.Duration(i)*5*time.Minute+time.Duration(turn+1)*time.Millisecond), 1, 0))
			}
			began := time.Now()
			insert(t, s, "a", spans, late...)
			spent[at] = append(spent[at], time.Since(began))
		}
	}
	a, b := slices.Min(spent[full]), slices.Min(spent[thin])
	if ratio := float64(a) / float64(b); ratio > 10 {
		t.Errorf("%d samples cost %v where there are many, %v where there are few: %.1f times as much", spans, a, b, ratio)
	}
}

func tenthPlus(i, ms int) wire.Sample {
	s := tenth(i)
	s.Time = s.Time.Add(time.Duration(ms) * time.Millisecond)
	return s
}
