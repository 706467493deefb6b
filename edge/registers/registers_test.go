package registers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func register(t testing.TB, name string) Register {
	t.Helper()
	for _, m := range []*Map{Hybrid(), String()} {
		if r, ok := m.Lookup(name); ok {
			return r
		}
	}
	t.Fatalf("no register %s", name)
	return Register{}
}

func words(address uint16, values ...uint16) Words {
	w := make(Words)
	for i, v := range values {
		w[address+uint16(i)] = v
	}
	return w
}

// The vendor's own example: an SH25T.
func TestTheOfficialVectorDecodes(t *testing.T) {
	w := words(4999, 0x0E28, 0x00FA, 0x0001, 0x035C, 0x2BF6, 0x000B, 0x0000, 0x0000, 0x01A9, 0x0000)
	for name, want := range map[string]float64{
		"device_type_code": 0x0E28, "nominal_power": 25, "output_type": 1, "daily_output_energy": 86,
		"total_output_energy_hybrid": 73215, "inverter_temperature": 42.5,
	} {
		if got, err := register(t, name).Decode(w); got != want || err != nil {
			t.Errorf("%s = %v, %v, not %v", name, got, err, want)
		}
	}
	if m, ok := ModelOf(0x0E28); !ok || m != (Model{0x0E28, "SH25T", "SH-T", true, 3, 3}) {
		t.Errorf("0x0E28 is %+v, %v", m, ok)
	}
}

func TestDecimalsAreExact(t *testing.T) {
	for scale, unit := range map[float64]float64{0.1: 10, 0.01: 100, 0.001: 1000} {
		for raw := range uint16(0xFFFF) {
			r := Register{Number: 1, Words: 1, Scale: scale, Min: math.Inf(-1), Max: math.Inf(1)}
			if got, err := r.Decode(Words{0: raw}); got != float64(raw)/unit || err != nil {
				t.Fatalf("%d at %v = %v, %v", raw, scale, got, err)
			}
		}
	}
	for _, c := range []struct{ scale, raw, want float64 }{
		{0.1, 93, 9.3}, {10, 6, 60}, {0.15, 7, 1.05}, {2.5, 3, 7.5}, {-0.1, 93, -9.3}, {0, 5, 5}, {1. / 3, 3, 1},
	} {
		if got := scaled(c.raw, c.scale); got != c.want {
			t.Errorf("%v at %v = %v, not %v", c.raw, c.scale, got, c.want)
		}
	}
}

func TestMarkersAreNoValues(t *testing.T) {
	for _, c := range []struct {
		register string
		words    []uint16
		want     error
	}{
		{"battery_soc", []uint16{0xFFFF}, ErrNotAvailable},
		{"battery_temperature", []uint16{0x7FFF}, ErrNotAvailable},
		{"battery_temperature", []uint16{0xFFFF}, nil}, // -0.1 °C
		{"total_dc_power", []uint16{0xFFFF, 0xFFFF}, ErrNotAvailable},
		{"export_power", []uint16{0xFFFF, 0x7FFF}, ErrNotAvailable},
		{"export_power", []uint16{0xFFFF, 0xFFFF}, nil}, // -1 W
		{"meter_active_power", []uint16{0xFFFF, 0xFFFF}, ErrNotAvailable},
		{"load_power", []uint16{0xFFFE, 0xFFFF}, nil},
		{"phase_b_current", []uint16{0xFFFF}, ErrNotAvailable},
		{"device_type_code", []uint16{0}, ErrNotAvailable},
		{"battery_soc", []uint16{1001}, ErrImplausible},
		{"battery_soc", []uint16{1000}, nil},
		{"battery_soc", nil, ErrNotRead},
		{"total_dc_power", []uint16{5}, ErrNotRead},
	} {
		r := register(t, c.register)
		_, err := r.Decode(words(r.Address(), c.words...))
		if !errors.Is(err, c.want) {
			t.Errorf("%s of %x: %v, not %v", c.register, c.words, err, c.want)
		}
	}
}

func TestFirmwareThatCountsInAnotherUnitIsUnderstood(t *testing.T) {
	for _, c := range []struct {
		register string
		raw      uint16
		want     float64
	}{
		{"battery_soh", 99, 99}, {"battery_soh", 990, 99}, {"battery_soh", 100, 100}, {"battery_soh", 1000, 100},
		{"battery_soh", 0, 0}, {"grid_frequency_coarse", 500, 50}, {"grid_frequency_coarse", 5002, 50.02},
	} {
		r := register(t, c.register)
		if got, err := r.Decode(words(r.Address(), c.raw)); got != c.want || err != nil {
			t.Errorf("%s of %d = %v, %v, not %v", c.register, c.raw, got, err, c.want)
		}
	}
}

func TestTextIsPrintableOrNothing(t *testing.T) {
	serial := register(t, "serial_number")
	raw := func(s string) Words {
		w := words(serial.Address(), make([]uint16, serial.Words)...)
		for i := range len(s) / 2 {
			w[serial.Address()+uint16(i)] = binary.BigEndian.Uint16([]byte(s[2*i:]))
		}
		return w
	}
	for _, c := range []struct {
		raw, want string
		err       error
	}{
		{"A2212345678\x00", "A2212345678", nil},
		{"A221234567890123456X", "A221234567890123456X", nil}, // no padding at all
		{"A1  \x00\x00", "A1", nil},
		{"A1\x00\x00rest", "A1", nil},
		{"", "", ErrNotAvailable},
		{strings.Repeat("\xff", 20), "", ErrNotAvailable},
		{"A\xc3\xa4B", "", ErrImplausible},
		{strings.Repeat("\xc3", 20), "", ErrImplausible},
		{"A\nB ", "", ErrImplausible},
		{"\x00\x00AB", "", ErrImplausible},
		{"    ", "", ErrImplausible},
	} {
		if got, err := serial.Text(raw(c.raw)); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q = %q, %v, not %q, %v", c.raw, got, err, c.want, c.err)
		}
	}
	short := raw("A2212345678\x00")
	delete(short, serial.Address()+9)
	if _, err := serial.Text(short); err != ErrNotRead {
		t.Errorf("nine of ten words: %v", err)
	}
	for _, s := range []string{"A22123456789012345678", "ä", "a\n"} {
		if w, err := serial.EncodeText(s); err == nil {
			t.Errorf("%q encodes as %x", s, w)
		}
	}
}

func TestANumberIsNotAText(t *testing.T) {
	serial, soc := register(t, "serial_number"), register(t, "battery_soc")
	_, err1 := serial.Raw(nil)
	_, err2 := serial.Decode(nil)
	_, err3 := serial.Encode(1)
	_, err4 := soc.Text(nil)
	_, err5 := soc.EncodeText("1")
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, errKind) {
			t.Errorf("%d: %v", i+1, err)
		}
	}
}

// Whatever the words are, what they decode to encodes to the same words; a text at least decodes to the same.
func TestEncodeIsTheInverseOfDecode(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	special := []uint16{0, 1, 0x7FFE, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF}
	for _, m := range []*Map{Hybrid(), String()} {
		for r := range m.All() {
			decoded := 0
			for range 2000 {
				w := make(Words)
				for i := range r.Words {
					w[r.Address()+i] = uint16(random.Uint32())
					if r.Type == UTF8 {
						w[r.Address()+i] = uint16(' '+random.IntN(95))<<8 | uint16(' '+random.IntN(95))
					} else if random.IntN(3) == 0 {
						w[r.Address()+i] = special[random.IntN(len(special))]
					}
				}
				if roundTrip(t, r, w) {
					decoded++
				}
			}
			if decoded == 0 {
				t.Errorf("%v never decoded", r)
			}
		}
	}
}

// roundTrip checks one register on words and reports whether they had a value.
func roundTrip(t *testing.T, r Register, w Words) bool {
	t.Helper()
	if r.Type == UTF8 {
		s, err := r.Text(w)
		if err != nil {
			return false
		}
		back, err := r.EncodeText(s)
		if err != nil {
			t.Fatalf("%v: %q: %v", r, s, err)
		}
		if again, err := r.Text(words(r.Address(), back...)); again != s || err != nil {
			t.Fatalf("%v: %q comes back as %q, %v", r, s, again, err)
		}
		return true
	}
	v, err := r.Decode(w)
	if err != nil && !errors.Is(err, ErrImplausible) {
		return false
	}
	back, encodeErr := r.Encode(v)
	if r.Rescale.holds(uint64(w[r.Address()])) {
		return true // what is in the other unit need not be a value of this one
	}
	if encodeErr != nil {
		t.Fatalf("%v: %v of %v: %v", r, v, w, encodeErr)
	}
	again := words(r.Address(), back...)
	if !maps.Equal(again, w) {
		t.Fatalf("%v: %v comes back as %v by way of %v", r, w, again, v)
	}
	return true
}

func TestEncodeRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		register string
		value    float64
	}{
		{"battery_soc", -0.1}, {"battery_soc", 6553.6}, {"battery_soc", 6553.5}, {"battery_temperature", 3276.7},
		{"battery_temperature", -3276.9}, {"total_dc_power", math.MaxUint32}, {"total_dc_power", -1},
		{"export_power", math.MaxInt32}, {"export_power", math.NaN()}, {"export_power", math.Inf(1)},
		{"battery_soh", 9.9}, // would read as 99
	} {
		if w, err := register(t, c.register).Encode(c.value); err == nil {
			t.Errorf("%s %v encodes as %x", c.register, c.value, w)
		}
	}
	if w, err := register(t, "export_power").Encode(-70000); !slices.Equal(w, []uint16{0xEE90, 0xFFFE}) || err != nil {
		t.Errorf("-70000 W encodes as %x, %v", w, err)
	}
	if w, err := register(t, "battery_soc").Encode(97.84); !slices.Equal(w, []uint16{978}) || err != nil {
		t.Errorf("97.84 %% encodes as %d, %v", w, err)
	}
}

func TestTheMapsHaveEveryRegister(t *testing.T) {
	names := make(map[string]bool)
	for _, m := range []*Map{Hybrid(), String()} {
		var last Register
		for r := range m.All() {
			names[r.Name] = true
			if r.Description == "" || r.Address() != r.Number-1 {
				t.Errorf("%+v", r)
			}
			if last.Kind > r.Kind || last.Kind == r.Kind && last.Number > r.Number {
				t.Errorf("%v comes after %v", r, last)
			}
			last = r
		}
	}
	if len(names) != 207 {
		t.Errorf("%d registers", len(names))
	}
	if _, ok := Hybrid().Lookup("nothing"); ok {
		t.Error("there is a register called nothing")
	}
}

func namesOf(m *Map) map[string]bool {
	names := make(map[string]bool)
	for r := range m.All() {
		names[r.Name] = true
	}
	return names
}

func TestAModelHasOnlyItsRegisters(t *testing.T) {
	for _, c := range []struct {
		model     string
		has, lack string
	}{
		{"SH4.0RS", "mppt2_voltage phase_a_voltage meter_active_power battery_power_signed active_power_limit_ratio_rs",
			"mppt3_voltage mppt4_current phase_b_voltage phase_c_current meter_phase_a_active_power backup_phase_b_power inverter_firmware active_power_limit_ratio total_yield_string"},
		{"SH10RS", "mppt3_current mppt4_voltage", "mppt5_voltage phase_b_voltage"},
		{"SH10RT", "mppt2_voltage phase_c_current meter_phase_a_active_power inverter_firmware", "mppt3_voltage mppt4_voltage active_power_limitation_rs pv_power_limitation"},
		{"SH15T", "mppt3_voltage phase_b_current pv_power_limitation", "mppt4_voltage mppt5_voltage charging_start_power"},
		{"SH50CX", "mppt10_current total_yield_string", "total_output_energy_hybrid inverter_firmware forced_startup_low_soc"},
		{"SG5.0RS", "mppt2_voltage daily_yield_string meter_power_string total_import_energy_string", "mppt3_voltage mppt12_current phase_b_voltage phase_c_current_string meter_phase_b_power_string battery_soc"},
		{"SG8.0RS", "mppt3_voltage mppt3_current", "mppt4_voltage"},
		{"SG3.0RS-S", "mppt1_voltage", "mppt2_voltage"},
		{"SG50CX", "mppt5_current phase_b_voltage load_power_string total_import_energy_string", "mppt6_voltage total_direct_consumption_string"},
		{"SG350HX-US", "mppt12_current meter_power_string", "total_direct_consumption_string"},
	} {
		m, ok := ModelNamed(c.model)
		if !ok {
			t.Fatalf("no model %s", c.model)
		}
		names := namesOf(m.Map())
		for name := range strings.FieldsSeq(c.has) {
			if !names[name] {
				t.Errorf("%s lacks %s", c.model, name)
			}
		}
		for name := range strings.FieldsSeq(c.lack) {
			if names[name] {
				t.Errorf("%s has %s", c.model, name)
			}
			register(t, name) // it is a name at all
		}
	}
	if got := namesOf(Model{Hybrid: true}.Map()); !maps.Equal(got, namesOf(Hybrid())) {
		t.Error("an unknown hybrid lacks registers")
	}
	if got := namesOf(Model{}.Map()); !maps.Equal(got, namesOf(String())) {
		t.Error("an unknown string inverter lacks registers")
	}
}

func TestEveryModelIsKnownByCodeAndName(t *testing.T) {
	if n := len(models()); n != 248 {
		t.Errorf("%d models", n)
	}
	hybrids := 0
	for _, m := range models() {
		if got, ok := ModelOf(m.Code); got != m || !ok {
			t.Errorf("%#x is %+v", m.Code, got)
		}
		if got, ok := ModelNamed(m.Name); got != m || !ok {
			t.Errorf("%s is %+v", m.Name, got)
		}
		if m.Hybrid != (strings.HasPrefix(m.Family, "SH-") || m.Family == "MG-RL") {
			t.Errorf("%+v", m)
		}
		if m.Hybrid {
			hybrids++
		}
		if plan := m.Map().Reads(); plan[0].Name != Identity || plan[1].Name != "A" {
			t.Errorf("%s: %v", m.Name, shapes(plan))
		}
	}
	if hybrids != 57 {
		t.Errorf("%d hybrids", hybrids)
	}
	for name, code := range map[string]uint16{
		"SH4.0RS": 0x0D18, "sh10rt": 0x0E03, "SG5.0RS": 0x2606,
		"SG5.0RT":    0x247D, // two models have the name, one has no other
		"SG5.0RT-20": 0x2430, // the other one
		"SG80KTL-20": 0x0138,
	} {
		if m, ok := ModelNamed(name); m.Code != code || !ok {
			t.Errorf("%s is %+v, %v", name, m, ok)
		}
	}
	if m, ok := ModelOf(1); ok {
		t.Errorf("code 1 is %+v", m)
	}
	if m, ok := ModelNamed("SG"); ok {
		t.Errorf("SG is %+v", m)
	}
}

func shapes(plan []Block) []string {
	var s []string
	for _, b := range plan {
		s = append(s, fmt.Sprintf("%s %d x %d", b.Name, b.Start, b.Count))
	}
	return s
}
