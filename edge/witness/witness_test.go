package witness

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"sunspool/edge/registers"
	"sunspool/edge/simulator"
)

var noon = time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)

// source is what an inverter holds: what it does not list reads fill, what it refuses is not read.
type source struct {
	ID           string
	Situation    string
	Type         uint16
	Fill         uint16
	Refused      [][2]uint16
	Words        registers.Words
	Want         map[string]any
	MayBeMissing bool `json:"may_be_missing"`
}

func (s source) refuses(a uint16) bool {
	return slices.ContainsFunc(s.Refused, func(r [2]uint16) bool { return a >= r[0] && a <= r[1] })
}

// poll reads the source as its family's plan does.
func (s source) poll(t testing.TB) Poll {
	t.Helper()
	model, ok := registers.ModelOf(s.Type)
	if !ok {
		model = registers.Model{Code: s.Type, Hybrid: true}
	}
	in := Poll{At: noon, Words: registers.Words{}, Map: model.Map(), Hybrid: model.Hybrid}
	for _, block := range in.Map.Reads() {
		for a := block.Start; a < block.Start+block.Count && block.Kind == registers.Input; a++ {
			w, ok := s.Words[a]
			switch {
			case s.refuses(a):
			case ok:
				in.Words[a] = w
			default:
				in.Words[a] = s.Fill
			}
		}
	}
	return in
}

// reported are cases that owners of real units reported in public, and what is right there.
func reported(t testing.TB) (all []source) {
	t.Helper()
	text, err := os.ReadFile("testdata/reported.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) < 15 {
		t.Fatal(len(all), err)
	}
	return all
}

func fields(r Result) map[string]*float64 {
	return map[string]*float64{
		"pv_power_w": r.PVPowerW, "battery_power_w": r.BatteryPowerW, "battery_soc_pct": r.BatterySOCPct,
		"battery_temp_c": r.BatteryTempC, "load_power_w": r.LoadPowerW, "export_power_w": r.ExportPowerW,
	}
}

// fits reports whether got is wanted: a value, null, any of several, or near one (value, percent).
func fits(got *float64, want any) bool {
	switch want := want.(type) {
	case nil:
		return got == nil
	case float64:
		return got != nil && math.Abs(*got-want) <= 0.01
	case map[string]any:
		if one, ok := want["near"].([]any); ok {
			v, percent := one[0].(float64), one[1].(float64)
			return got != nil && math.Abs(*got-v) <= math.Abs(v)*percent/100
		}
		return slices.ContainsFunc(want["any"].([]any), func(one any) bool { return fits(got, one) })
	}
	return false
}

func show(v *float64) any {
	if v == nil {
		return nil
	}
	return *v
}

func TestReportedCasesAreRightOrNull(t *testing.T) {
	for _, s := range reported(t) {
		var past Past
		in := s.poll(t)
		for i := range 3 { // the same at each poll
			r := Decide(in, &past)
			past.Learn(in.At, in, r)
			in.At = in.At.Add(5 * time.Second)
			if r.PVPowerW == nil && s.MayBeMissing || i == 0 { // a meter of the other sign is believed at the second
				continue
			}
			for name, got := range fields(r) {
				want, ok := s.Want[name]
				if ok && !fits(got, want) {
					t.Errorf("%s: %s is %v, want %v (%s)\n%+v", s.ID, name, show(got), want, s.Situation, r.Doubts)
				}
			}
		}
	}
}

// Each open image means what is known of it; what a unit cannot measure is nil.
func TestImagesMeanWhatTheyAre(t *testing.T) {
	known := 0
	for _, image := range simulator.Images() {
		if image.DeviceType == nil || len(image.Input) < 60 {
			continue
		}
		s := source{Type: *image.DeviceType, Fill: image.Fill, Refused: image.Refused, Words: image.Input}
		r := Decide(s.poll(t), nil)
		got := fields(r)
		got["pv_dc_power_w"] = got["pv_power_w"]
		for _, name := range []string{"pv_dc_power_w", "battery_power_w", "load_power_w", "export_power_w"} {
			want, ok := image.Derived[name]
			if !ok {
				continue
			}
			known++
			absent := r.NoBattery && name == "battery_power_w" || r.NoMeter && (name == "load_power_w" || name == "export_power_w")
			if absent && got[name] != nil || !absent && !fits(got[name], want) {
				t.Errorf("%s: %s is %v, want %v; %v", image.ID, name, show(got[name]), want, r.Doubts)
			}
		}
	}
	if known < 36 {
		t.Errorf("only %d values are known", known)
	}
}
