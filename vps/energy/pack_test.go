package energy

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestPackedRollupComesBackEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 500 {
		samples := anySamples(r, noon, 2*time.Hour, 1+r.IntN(300))
		for _, want := range []Rollup{rollupOf(noon, noon.Add(2*time.Hour), samples), baseOf(noon, noon.Add(Base), samples), {}} {
			packed := want.Append([]byte("before"))[len("before"):]
			got := Rollup{Rows: 99, tail: end{Powers{Load: new(1.0)}, 5, true}}
			if !got.Read(packed) {
				t.Fatal("cannot be read")
			}
			if d := difference(&got, &want); d != "" {
				t.Fatal(d)
			}
		}
	}
}

func TestReadRefusesWhatAppendDidNotWrite(t *testing.T) {
	r := rollupOf(noon, noon.Add(time.Hour), anySamples(rand.New(rand.NewPCG(15, 16)), noon, time.Hour, 100))
	packed := r.Append(nil)
	for cut := range packed {
		if new(Rollup).Read(packed[:cut]) {
			t.Fatalf("read of %d of %d bytes", cut, len(packed))
		}
	}
	for name, b := range map[string][]byte{
		"longer":          append(slices.Clone(packed), 0),
		"another version": append([]byte{PackVersion + 1}, packed[1:]...),
	} {
		if new(Rollup).Read(b) {
			t.Errorf("%s is read", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	r := rollupOf(noon, noon.Add(time.Hour), anySamples(rand.New(rand.NewPCG(17, 18)), noon, time.Hour, 100))
	f.Add(r.Append(nil))
	f.Add(new(Rollup).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Rollup
		if !r.Read(b) {
			return
		}
		if !again.Read(r.Append(nil)) {
			t.Fatal("what was read cannot be written")
		}
		if d := difference(&again, &r); d != "" {
			t.Fatal(d)
		}
	})
}
