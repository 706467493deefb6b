package api

import (
	"encoding/json"
	"testing"
	"time"

	"sunspool/wire"
)

// What an edge says of itself with a batch is how far apart the samples in it are, also when it says so after them.
func TestSamplesOfRarePollsAreStoredWithTheInterval(t *testing.T) {
	for name, c := range map[string]struct {
		edge string
		want time.Duration
	}{
		"unknown":           {`{"version":"1"}`, 0},
		"no edge":           {`null`, 0},
		"nonsense":          {`{"poll_interval_s":"600"}`, 0},
		"negative":          {`{"poll_interval_s":-600}`, 0},
		"default":           {`{"poll_interval_s":5}`, 0},
		"often":             {`{"poll_interval_s":10}`, 0},
		"half a minute":     {`{"poll_interval_s":30}`, 30 * time.Second},
		"ten minutes":       {`{"version":"1","poll_interval_s":600.2}`, 10 * time.Minute},
		"hours":             {`{"poll_interval_s":86400}`, time.Hour},
		"longer than times": {`{"poll_interval_s":1e12}`, time.Hour},
	} {
		b := newBench(t)
		samples, err := json.Marshal([]map[string]any{fields(0), fields(10 * time.Minute), without(fields(time.Hour), "ts")})
		if err != nil {
			t.Fatal(err)
		}
		if w := b.post(token1, `{"samples":`+string(samples)+`,"edge":`+c.edge+`}`, "Prefer", wire.Lenient); w.Code != 200 {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		n := 0
		if err := b.bolt.Each(t.Context(), "inv-1", time.Time{}, time.Time{}, func(s wire.Sample) bool {
			n++
			if s.Interval != c.want {
				t.Errorf("%s: interval %v, want %v", name, s.Interval, c.want)
			}
			return true
		}); err != nil || n != 2 {
			t.Errorf("%s: %d samples, %v", name, n, err)
		}
	}
}
