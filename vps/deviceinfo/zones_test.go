package deviceinfo

import "testing"

// One zone can be written in many ways where zones are files.
func TestZonesAreRememberedByTheirName(t *testing.T) {
	var z Zones
	for _, name := range []string{"Europe//Brussels", "Europe/./Brussels", "./Europe/Brussels", "Europe/Brussels/", "Europe/../Europe/Brussels", "/usr/share/zoneinfo/UTC"} {
		if zone, err := z.Load(name); err == nil {
			t.Errorf("%q is %v", name, zone)
		}
	}
	if _, err := z.Load("Europe/Brussels"); err != nil {
		t.Error(err)
	}
	z.count.Store(maxZones)
	if _, err := z.Load("Europe/Amsterdam"); err != nil {
		t.Error(err)
	}
	if _, kept := z.loaded.Load("Europe/Amsterdam"); kept {
		t.Error("more are kept than there may be")
	}
}
