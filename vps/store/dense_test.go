package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/internal/testservices"
	"sunspool/vps/energy"
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

// isRecount compares all that is stored of a device, and what the rollups say, with the samples.
func isRecount(t *testing.T, s Samples, device string, samples []wire.Sample) {
	t.Helper()
	samples = slices.SortedFunc(slices.Values(samples), func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	i := 0
	if err := s.Each(t.Context(), device, time.Time{}, time.Time{}, func(got wire.Sample) bool {
		i++
		return i > len(samples) || got.Time.Equal(samples[i-1].Time) && got.PVPowerW == samples[i-1].PVPowerW
	}); err != nil || i != len(samples) {
		t.Fatalf("%d samples are stored of %d, or the last of these is another, %v", i, len(samples), err)
	}
	for _, resolution := range []Resolution{FiveMinutes, Hour, Day, Month} {
		q := Query{Device: device, Resolution: resolution, Zone: time.UTC}
		got, err := s.Periods(t.Context(), q)
		want := recountPeriods(samples, q)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d periods, %v; want %d", resolution, len(got), err, len(want))
		}
		for i := range got {
			if d := rollupDifference(&got[i].Rollup, &want[i].Rollup); d != "" {
				t.Fatalf("%s: period %d: %s", resolution, i, d)
			}
		}
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

// What is pending is right wherever it is asked for, and what changes it, deletes what it is computed from, or computes it
// leaves what was stored. makePending makes all rollups pending; left returns how many are.
func testPending(t *testing.T, s Samples, makePending func(), left func() int) {
	all := random(rand.New(rand.NewPCG(53, 54)), noon, 30*time.Hour, 3000)
	fill(t, s, "a", all[:2990])
	fill(t, s, "b", all[:100])
	q := Query{Device: "a", From: noon.Add(11 * time.Hour), To: noon.Add(12 * time.Hour), Resolution: FiveMinutes}
	was, around, err := s.Surrounded(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	devices, err := s.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	makePending()
	if got, err := s.Devices(t.Context()); err != nil || fmt.Sprint(got) != fmt.Sprint(devices) {
		t.Errorf("devices %v, %v; were %v", got, err, devices)
	}
	makePending()
	if is, now, err := s.Surrounded(t.Context(), q); err != nil || len(is) != len(was) ||
		string(now.Before.Append(nil)) != string(around.Before.Append(nil)) || string(now.After.Append(nil)) != string(around.After.Append(nil)) {
		t.Errorf("%d periods, %v; were %d", len(is), err, len(was))
	}
	makePending()
	insert(t, s, "a", 10, all[2990:]...) // the latest, each in five minutes that are pending
	isRecount(t, s, "a", all)
	testservices.Await(t, "what was asked for is computed", func() bool { isRecount(t, s, "b", all[:100]); return left() == 0 })
	isRecount(t, s, "a", all)

	q = Query{Device: "a", Resolution: FiveMinutes, Zone: time.UTC}
	before, err := s.Periods(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	makePending()
	for n := int64(1); n > 0; {
		if n, err = s.Prune(t.Context(), noon.Add(10*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	insert(t, s, "a", 0, all[:50]...)
	after, err := s.Periods(t.Context(), q)
	if err != nil || len(after) != len(before) {
		t.Fatalf("%d periods, %v; were %d", len(after), err, len(before))
	}
	for i := range after {
		if d := rollupDifference(&after[i].Rollup, &before[i].Rollup); d != "" {
			t.Fatalf("pruning changed period %d: %s", i, d)
		}
	}
}

func TestPendingRollupsInBolt(t *testing.T) {
	b := opened(t, t.TempDir())
	each := func(f func(level *bolt.Bucket, k, v []byte) error) {
		t.Helper()
		if err := b.db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(devicesBucket).ForEachBucket(func(name []byte) error {
				for _, level := range levelBuckets[1:] {
					bucket := tx.Bucket(devicesBucket).Bucket(name).Bucket(level)
					if err := bucket.ForEach(func(k, v []byte) error { return f(bucket, k, v) }); err != nil {
						return err
					}
				}
				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
	}
	testPending(t, b, func() {
		each(func(level *bolt.Bucket, k, v []byte) error {
			payload, _ := unseal(k, v)
			p, _, ok := known(payload)
			if !ok {
				return errors.New("a rollup cannot be read")
			}
			return level.Put(k, seal(k, p.Append(nil)))
		})
	}, func() (n int) {
		each(func(_ *bolt.Bucket, k, v []byte) error {
			if _, pending := pendingIn(k, v); pending {
				n++
			}
			return nil
		})
		return n
	})
	if n := b.Damaged(); n != 0 {
		t.Errorf("%d rows are called damaged", n)
	}
}

// A rollup of very many samples is not computed in the transaction of a single one.
func TestLateSampleLeavesADenseRollupPending(t *testing.T) {
	b := opened(t, t.TempDir())
	fill(t, b, "a", tenths(0, 2000))
	w := newWrite("a")
	w.pack([]wire.Sample{tenthPlus(7, 1)})
	if err := b.db.Update(func(tx *bolt.Tx) error {
		if _, err := b.apply(tx, []*write{w}); err != nil {
			return err
		}
		d, _ := b.device(tx, "a")
		for level := baseLevel; level < levels; level++ {
			p, pending, ok := d.known(level, spanOf(level, noon.UnixMilli()))
			if !pending || !ok || p != (energy.Pending{Rows: 2001, First: noon.UnixMilli(), Last: tenth(1999).Time.UnixMilli()}) {
				t.Errorf("level %d: %+v is pending: %v", level, p, pending)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	isRecount(t, b, "a", append(tenths(0, 2000), tenthPlus(7, 1)))
}

// What an earlier version stored more densely than is allowed now stays, and is answered.
func TestDenserSpansOfAnEarlierVersionStay(t *testing.T) {
	b := opened(t, t.TempDir())
	all := houses(noon, 50*time.Millisecond, 0, 5000)
	w := newWrite("a")
	w.pack(all)
	if err := b.db.Update(func(tx *bolt.Tx) error {
		d, err := b.createDevice(tx, "a")
		if err != nil {
			return err
		}
		for _, r := range w.rows {
			if err := d.levels[samplesLevel].Put(key(r.ms), r.value); err != nil {
				return err
			}
		}
		c := changes{}
		c.at(noon.UnixMilli()).anew = true
		return d.deriveAll(c, 1<<60)
	}); err != nil {
		t.Fatal(err)
	}
	insert(t, b, "a", 0, all...)
	tooDense(t, b, "a", []wire.Sample{all[3], tenthPlus(1, 7)}, 1)
	insert(t, b, "a", 1, at(noon.Add(-time.Second), 1))
	isRecount(t, b, "a", append(all, at(noon.Add(-time.Second), 1)))
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
