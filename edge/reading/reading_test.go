package reading

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
	"sunspool/wire"
)

// noSample are the images that do not hold what a sample needs, and why.
var noSample = map[string]string{
	"real-partial-evcc18473-charging": "inverter_not_ready", // no type
	"official-example-13000":          "inverter_not_ready",
	"official-example-sh25t":          "no_value", // no power
}

// Each image, served word by word and polled over Modbus, becomes the sample that it is known to mean.
func TestImagesBecomeTheSamplesTheyMean(t *testing.T) {
	for _, image := range simulator.Images() {
		t.Run(image.ID, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := invertertest.New(t, invertertest.OfImage(t, image.ID))
				first, err := b.Poll() // the first poll of a connection reads block A only as far as every family has it
				if err == nil && time.Since(first.At) > time.Second {
					t.Errorf("the first reading is of %v", first.At)
				}
				var r inverter.Reading
				if r, err = b.Poll(); err == nil && r.At.IsZero() {
					t.Error("no time")
				}
				var s wire.Sample
				var f Findings
				if err == nil {
					s, f, err = Normalize(r)
				}
				if code, none := noSample[image.ID]; none {
					if !hasCode(err, code) {
						t.Fatalf("sample %+v, error %v, want none because of %s", s, err, code)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if age := time.Since(s.Time); age > time.Second {
					t.Errorf("the sample is %v old", age)
				}
				checkDerived(t, image, s, f)
				for name, want := range image.Expected {
					reg, ok := r.Map.Lookup(name)
					number, isNumber := want.(float64)
					if !ok || !isNumber || reg.Block == "" {
						continue // not on this model, a text, or not polled
					}
					if got, ok := s.Values[name]; ok && got != number || !ok && !slices.Contains(f.Withheld, name) {
						t.Errorf("values[%s] is %v, %v, want %v", name, got, ok, number)
					}
				}
			})
		})
	}
}

// checkDerived compares with what the image means for the contract; what a unit without battery or meter cannot know is
// nil, whatever its registers say.
func checkDerived(t *testing.T, image simulator.Image, s wire.Sample, f Findings) {
	t.Helper()
	for key, got := range map[string]*float64{
		"pv_dc_power_w": &s.PVPowerW, "battery_power_w": s.BatteryPowerW, "load_power_w": s.LoadPowerW, "export_power_w": s.ExportPowerW,
	} {
		want, known := image.Derived[key].(float64)
		absent := f.NoBattery && key == "battery_power_w" || f.NoMeter && (key == "load_power_w" || key == "export_power_w")
		switch {
		case absent && got != nil:
			t.Errorf("%s is %v of a unit that cannot know it", key, *got)
		case absent || !known:
		case got == nil || *got != want:
			t.Errorf("%s is %v, want %v", key, text(got), want)
		}
	}
}

func text(v *float64) any {
	if v == nil {
		return nil
	}
	return *v
}

func TestBadOptionalFieldIsNullAndTheSampleIsKept(t *testing.T) {
	frost := invertertest.ReadingOf(t, invertertest.HybridImage, map[uint16]uint16{13024: 0xFF9C}) // -10.0 degrees
	s, _, err := Normalize(frost)
	if err != nil || s.BatteryTempC == nil || *s.BatteryTempC != -10 {
		t.Errorf("frost: %v, %v", text(s.BatteryTempC), err)
	}
	for name, r := range map[string]inverter.Reading{
		"implausible":   invertertest.ReadingOf(t, invertertest.HybridImage, map[uint16]uint16{13024: 9000}),
		"not available": invertertest.ReadingOf(t, invertertest.HybridImage, map[uint16]uint16{13024: 0x7FFF}),
	} {
		s, f, err := Normalize(r)
		if err != nil || s.BatteryTempC != nil || s.BatterySOCPct == nil {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if _, there := s.Values["battery_temperature"]; there {
			t.Errorf("%s: values has the temperature", name)
		}
		if counted := len(f.Nulled) == 1; counted != (name == "implausible") {
			t.Errorf("%s: counted %v", name, f.Nulled)
		}
	}
}

// zeros is a word of 0 for each address.
func zeros(addresses ...uint16) map[uint16]uint16 {
	words := map[uint16]uint16{}
	for _, a := range addresses {
		words[a] = 0
	}
	return words
}

// One field costs one field: only PV power is needed, and it may be told by its trackers or by the AC power.
func TestOneFieldThatIsMissingCostsOneField(t *testing.T) {
	whole, _, err := Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change  map[uint16]uint16
		without []uint16
		missing string
	}{
		"no PV register":      {nil, []uint16{5016, 5017}, ""},
		"PV not available":    {map[uint16]uint16{5016: 0xFFFF, 5017: 0xFFFF}, nil, ""},
		"PV of 158 MW":        {map[uint16]uint16{5016: 0, 5017: 2422}, nil, ""},
		"load not available":  {map[uint16]uint16{13007: 0xFFFF, 13008: 0x7FFF}, nil, ""},
		"charge impossible":   {map[uint16]uint16{13022: 2000}, nil, "battery_soc_pct"},
		"direction not known": {map[uint16]uint16{13021: 500, 13000: 0, 13020: 10, 5630: 10}, []uint16{5213, 5214}, "battery_power_w"},
		"temperature missing": {map[uint16]uint16{13024: 0x7FFF}, nil, "battery_temp_c"},
	} {
		s, _, err := Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, c.change, c.without...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, f := range wire.Fields {
			got, want := f.Get(&s), f.Get(&whole)
			if f.Name == c.missing {
				want = nil
			}
			if (got == nil) != (want == nil) || got != nil && math.Abs(*got-*want) > 1 {
				t.Errorf("%s: %s is %v, want %v", name, f.Name, text(got), text(want))
			}
		}
	}
}

func TestWithoutPVThereIsNoSample(t *testing.T) {
	r := invertertest.ReadingOf(t, invertertest.HybridImage, nil, 5016, 5017, 5010, 5012, 13033, 13034, 13007)
	if _, _, err := Normalize(r); !hasCode(err, "no_value") {
		t.Errorf("neither PV, nor trackers, nor AC power: %v", err)
	}
	r = invertertest.ReadingOf(t, invertertest.HybridImage, nil)
	for a := range r.Words {
		if a != 4999 { // device_type_code
			delete(r.Words, a)
		}
	}
	refused := errors.New("illegal data address")
	r.Lost["A"] = refused
	if _, _, err := Normalize(r); !hasCode(err, "no_block") || !errors.Is(err, refused) {
		t.Errorf("block A refused: %v", err)
	}
}

func TestNoMeterIsNotZero(t *testing.T) {
	none := map[uint16]uint16{13007: 2267, 13009: 0, 13010: 0, 5600: 0, 5601: 0}
	lan := maps.Clone(none)
	lan[5600], lan[5601] = 0xFFFF, 0x7FFF
	for name, change := range map[string]map[uint16]uint16{"LAN port": lan, "dongle": none} {
		s, f, err := Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, change))
		if err != nil || !f.NoMeter || s.LoadPowerW != nil || s.ExportPowerW != nil || s.ImportTotalKWh != nil || s.ExportTotalKWh != nil {
			t.Errorf("%s: %+v, %+v, %v", name, s, f, err)
		}
		for _, register := range []string{"meter_active_power", "export_power", "load_power", "total_import_energy", "total_export_energy"} {
			if v, ok := s.Values[register]; ok {
				t.Errorf("%s: values has %s = %v", name, register, v)
			}
		}
	}
}

// One watt less than nothing has the bits of a register that is not there.
func TestMinusOneWattIsMeasured(t *testing.T) {
	s, f, err := Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, map[uint16]uint16{13007: 2266, 5600: 0xFFFF, 5601: 0xFFFF, 13009: 1, 13010: 0}))
	if err != nil || f.NoMeter || s.ExportPowerW == nil || *s.ExportPowerW != 1 || s.LoadPowerW == nil {
		t.Errorf("the meter reads -1: %+v, %+v, %v", s, f, err)
	}
	s, _, err = Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, map[uint16]uint16{13007: 0xFFFF, 13008: 0xFFFF, 13009: 2267, 13010: 0, 5600: 0, 5601: 0}))
	if err != nil || s.LoadPowerW == nil || *s.LoadPowerW != -1 {
		t.Errorf("the load is -1: %v, %v", text(s.LoadPowerW), err)
	}
	s, _, err = Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, map[uint16]uint16{13007: 0xFFFF, 13008: 0xFFFF}))
	if err != nil || s.LoadPowerW == nil || *s.LoadPowerW != 412 {
		t.Errorf("a load that is not there beside AC power and export: %v, %v", text(s.LoadPowerW), err)
	}
}

func TestNoBatteryIsNotAnEmptyOne(t *testing.T) {
	none := zeros(13019, 13020, 13021, 13022, 13023, 5213, 5214, 5630)
	s, f, err := Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, none))
	if err != nil || !f.NoBattery || s.BatteryPowerW != nil || s.BatterySOCPct != nil || s.BatteryTempC != nil || s.ChargeTotalKWh != nil {
		t.Errorf("no battery: %+v, %+v, %v", s, f, err)
	}
	if _, ok := s.Values["battery_soc"]; ok {
		t.Error("no battery, but values has its charge")
	}
	s, f, err = Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, map[uint16]uint16{13022: 0}))
	if err != nil || f.NoBattery || s.BatteryPowerW == nil || *s.BatteryPowerW != 1373 {
		t.Errorf("a battery whose charge reads 0: %+v, %+v, %v", s, f, err)
	}
}

// A block of zeros stands for a dongle that has lost its inverter, and not for a house without load.
func TestBlockOfZerosIsNoHouseWithoutLoad(t *testing.T) {
	change := map[uint16]uint16{}
	for a := uint16(12999); a < 13079; a++ {
		change[a] = 0
	}
	s, _, err := Normalize(invertertest.ReadingOf(t, invertertest.HybridImage, change))
	if err != nil || s.PVPowerW != 3726 || s.LoadPowerW != nil || s.BatterySOCPct != nil || text(s.ExportPowerW) != 1855.0 {
		t.Errorf("block D: %+v, %v", s, err)
	}
	if _, ok := s.Values["drm_state"]; ok {
		t.Error("values has a word of block D")
	}
}

func TestSleepingStringInverterSaysNothingOfTheHouse(t *testing.T) {
	asleep := map[uint16]uint16{5010: 0, 5011: 0, 5012: 0, 5013: 0, 5016: 0, 5017: 0, 5018: 0, 5030: 0}
	s, f, err := Normalize(invertertest.ReadingOf(t, "calc-sg5rs-sunny-exporting", asleep))
	if err != nil || !f.Asleep || s.PVPowerW != 0 || s.PVDailyKWh != nil || s.LoadPowerW != nil || s.ExportPowerW != nil {
		t.Errorf("asleep: %+v, %+v, %v", s, f, err)
	}
	s, f, err = Normalize(invertertest.ReadingOf(t, "calc-sg5rs-sunny-exporting", nil))
	if err != nil || f.Asleep || *s.PVDailyKWh != 12.4 || *s.PVTotalKWh != 16071 || *s.ExportPowerW != 2901 || *s.LoadPowerW != 487 {
		t.Errorf("awake: %+v, %+v, %v", s, f, err)
	}
}

func TestNothingMadeUpByRandomWords(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	base := invertertest.ReadingOf(t, invertertest.HybridImage, nil)
	addresses := slices.Sorted(maps.Keys(base.Words))
	for range 2000 {
		r := base
		r.Words = maps.Clone(base.Words)
		for range 20 {
			r.Words[addresses[rng.IntN(len(addresses))]] = uint16(rng.Uint32())
		}
		s, _, err := Normalize(r)
		if err != nil {
			continue
		}
		s.DeviceID = "x"
		if err := s.Validate(time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)); err != nil {
			t.Fatalf("%v: %+v", err, s)
		}
		for name, v := range s.Values {
			reg, _ := r.Map.Lookup(name)
			if math.IsNaN(v) || v < reg.Min || v > reg.Max {
				t.Fatalf("%s is %v", name, v)
			}
		}
	}
}

// hasCode reports whether err is an *Unusable or a *health.Fault of that code.
func hasCode(err error, code string) bool {
	if u, ok := errors.AsType[*Unusable](err); ok {
		return u.Code == code
	}
	return invertertest.HasCode(err, code)
}
