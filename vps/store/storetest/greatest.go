package storetest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/wire"
)

func greatest(t *testing.T, s store.Samples, device string, want float64) {
	t.Helper()
	if got, err := s.GreatestW(t.Context(), device); got != want || err != nil {
		t.Errorf("greatest power of %s is %v W, %v; want %v W", device, got, err, want)
	}
}

func rated(s wire.Sample, kw float64) wire.Sample {
	s.Values = map[string]float64{"nominal_power": kw}
	return s
}

// Order of arrival does not matter, and nothing that was not stored counts.
func greatestPowerIsOfAllSamplesStored(t *testing.T, s store.Samples) {
	greatest(t, s, "a", 0)
	if err := s.Describe(t.Context(), "a", store.About{Zone: "Europe/Brussels"}); err != nil {
		t.Fatal(err)
	}
	greatest(t, s, "a", 0)
	Insert(t, s, "a", 1, At(Noon, 100))
	greatest(t, s, "a", 100)
	greatest(t, s, "b", 0)
	Insert(t, s, "a", 0, At(Noon, 5000))                               // a repetition
	Insert(t, s, "a", 1, At(Noon.Add(time.Hour), 200), At(Noon, 6000)) // one among others
	greatest(t, s, "a", 200)
	if _, err := s.Insert(t.Context(), "a", []wire.Sample{At(Noon.Add(time.Minute), 7000), {Time: Noon}}); err == nil {
		t.Error("a sample without a count is stored")
	}
	greatest(t, s, "a", 200)
	Insert(t, s, "a", 2, wire.Sample{Time: Noon.Add(-time.Hour), Count: 1, ExportPowerW: new(-900.0)}, At(Noon.Add(2*time.Hour), 300))
	greatest(t, s, "a", 900)
	Insert(t, s, "a", 1, At(Noon.Add(3*time.Hour), 400))
	greatest(t, s, "a", 900)
	Insert(t, s, "a", 1, rated(At(Noon.Add(-time.Minute), 0), 8))
	greatest(t, s, "a", 8000)

	all := Random(rand.New(rand.NewPCG(31, 32)), Noon, 30*time.Hour, 1000)
	most := 0.0
	for i := range all {
		if i%100 == 0 {
			all[i] = rated(all[i], float64(i)/100)
		}
		most = max(most, energy.GreatestW(&all[i]))
	}
	for name, order := range map[string]func([]wire.Sample){
		"random": func([]wire.Sample) {}, "reversed": slices.Reverse[[]wire.Sample],
		"sorted": func(all []wire.Sample) {
			slices.SortFunc(all, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
		},
	} {
		mine := slices.Clone(all)
		order(mine)
		for batch := range slices.Chunk(mine, 130) {
			Insert(t, s, name, len(batch), batch...)
		}
		greatest(t, s, name, most)
	}
}

// Where samples are gone it stays, and what is only counted in rollups counts here too.
func pruningKeepsTheGreatestPower(t *testing.T, s store.Samples) {
	var all []wire.Sample
	for i := range 120 {
		all = append(all, At(Noon.Add(time.Duration(i)*time.Minute+30*time.Second), 1000-float64(i)))
	}
	Insert(t, s, "a", len(all), all...)
	for deleted := int64(1); deleted > 0; {
		var err error
		if deleted, err = s.Prune(t.Context(), Noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	greatest(t, s, "a", 1000)
	Insert(t, s, "a", 1, At(Noon.Add(time.Second), 1100), At(Noon.Add(31*time.Second), 9000)) // one before, one taken for a repetition
	greatest(t, s, "a", 1100)
	Insert(t, s, "a", 1, rated(At(Noon.Add(5*time.Minute+time.Second), 1), 3))
	greatest(t, s, "a", 3000)
}
