package batch

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"sunspool/internal/vpstest"
)

func TestZeroHasNoSign(t *testing.T) {
	d := decoders.New().(*Decoder)
	d.Body.WriteString(`{"samples":[` + strings.Replace(one(vpstest.With(vpstest.Fields(0), "values", map[string]any{"v": 1})), `"v":1`, `"v":-0.0`, 1) + `]}`)
	text := strings.NewReplacer("4210.5", "-0", "730", "-0.0e5").Replace(d.Body.String())
	d.Body.Reset()
	d.Body.WriteString(text)
	b, err := d.Decode([]string{"inv-1"}, vpstest.Now, 1)
	if err != nil || len(b.Good) != 1 {
		t.Fatal(err, b.Problems)
	}
	if s := b.Good[0]; math.Signbit(s.PVPowerW) || math.Signbit(*s.LoadPowerW) || math.Signbit(s.Values["v"]) {
		t.Errorf("%+v", s)
	}
}

// TestBatchesDoNotShareMemory: decoders are used again, what was decoded must stay.
func TestBatchesDoNotShareMemory(t *testing.T) {
	d := decoders.New().(*Decoder)
	decode := func(body string) Batch {
		d.Body.Reset()
		d.Body.WriteString(body)
		b, err := d.Decode([]string{"inv-1"}, vpstest.Now, 10)
		if err != nil || len(b.Problems) > 0 {
			t.Fatal(err, b.Problems)
		}
		return b
	}
	first := decode(`{"batch_id":"first","edge":{"version":"1.0"},"samples":[` + one(vpstest.With(vpstest.With(vpstest.Fields(0), "values", map[string]any{"aaa": 1}), "pv_daily_kwh", 1)) + `]}`)
	decode(`{"batch_id":"other","edge":{"version":"2.2"},"samples":[` + one(vpstest.With(vpstest.With(vpstest.Fields(0), "values", map[string]any{"bbb": 2}), "pv_daily_kwh", 2)) + `]}`)
	if _, kept := d.names["aaa"]; kept {
		t.Error("names of one body are kept for ever")
	}
	s := first.Good[0]
	if first.ID != "first" || first.Edge.Version != "1.0" || s.Values["aaa"] != 1 || len(s.Values) != 1 || *s.PVDailyKWh != 1 {
		t.Errorf("%+v %+v %+v", first, first.Edge, s)
	}
}

func one(f map[string]any) string {
	b, _ := json.Marshal(f)
	return string(b)
}
