package reading

import (
	"strings"
	"testing"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/wire"
)

// Each empty field of a sample has its reason in health.json.
func TestHealthNamesWhyAFieldIsEmpty(t *testing.T) {
	for name, c := range map[string]struct {
		image  string
		change map[uint16]uint16
		why    map[string]string // a part of it, by field
	}{
		"no meter":   {invertertest.HybridImage, map[uint16]uint16{13007: 2267, 13009: 0, 5600: 0, 5601: 0}, map[string]string{"load_power_w": "no meter", "export_total_kwh": "no meter"}},
		"meter lost": {invertertest.HybridImage, map[uint16]uint16{13050: 1 << 14}, map[string]string{"load_power_w": "meter does not answer"}},
		"no battery": {invertertest.HybridImage, zeros(13019, 13020, 13021, 13022, 13023, 5213, 5214, 5630), map[string]string{"battery_power_w": "no battery", "charge_total_kwh": "no battery"}},
		"two meters": {invertertest.HybridImage, map[uint16]uint16{5600: 500, 5601: 0}, map[string]string{"export_power_w": "meter_active_power", "load_power_w": "meter_active_power"}},
		"no charge":  {invertertest.HybridImage, map[uint16]uint16{13022: 0xFFFF}, map[string]string{"battery_soc_pct": "no register"}},
	} {
		s, f, err := Normalize(invertertest.ReadingOf(t, c.image, c.change))
		if err != nil {
			t.Fatal(name, err)
		}
		for _, field := range wire.Fields {
			why, named := f.Unknown[field.Name]
			if empty := field.Get(&s) == nil; empty != named || !strings.Contains(why, c.why[field.Name]) || empty && why == "" {
				t.Errorf("%s: %s is %v because %q", name, field.Name, text(field.Get(&s)), why)
			}
		}
		for field := range c.why {
			if _, named := f.Unknown[field]; !named {
				t.Errorf("%s: %s has a value", name, field)
			}
		}
	}
}

// A string inverter at night, whose dongle goes on with the words of the evening, gives its PV power of 0 and no more.
func TestSleepingStringInverterGoesOnWithoutItsMeter(t *testing.T) {
	var n Normalizer
	r := invertertest.ReadingOf(t, "calc-sg5rs-sunny-exporting", map[uint16]uint16{
		5010: 0, 5011: 0, 5012: 0, 5013: 0, 5016: 0, 5017: 0, 5008: 0, 5021: 0, 5030: 0, 5031: 0, 5082: 1312, 5083: 0, 5084: 1312, 5090: 1312, 5091: 0,
	})
	for i := range 5000 { // seven hours
		s, _, err := n.Normalize(r, r.At, true)
		if err != nil || s.PVPowerW != 0 || n.Still() != 0 {
			t.Fatalf("poll %d: %v, %v", i, err, n.Still())
		}
		if old := i > 60; old && (s.LoadPowerW != nil || s.ExportPowerW != nil) {
			t.Fatalf("poll %d: load %v", i, text(s.LoadPowerW))
		}
		r.At = r.At.Add(5 * time.Second)
	}
}
