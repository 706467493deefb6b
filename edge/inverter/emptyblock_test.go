package inverter

import "testing"

func TestEmptyBlock(t *testing.T) {
	d := blockD
	words := func(set map[string]uint16) map[uint16]uint16 {
		w := map[uint16]uint16{}
		for i := range d.Count {
			w[d.Start+i] = 0
		}
		for name, v := range set {
			w[register(name).Address()] = v
		}
		return w
	}
	for name, c := range map[string]struct {
		set   map[string]uint16
		lived bool
		empty bool
	}{
		"all zeros":                      {nil, false, true},
		"only the load left":             {map[string]uint16{"load_power": 300}, true, true},
		"a new hybrid without battery":   {map[string]uint16{"load_power": 300}, false, false},
		"an empty battery":               {map[string]uint16{"running_state": 64, "total_pv_generation": 900}, true, false},
		"a hybrid that stands by, 0 kWh": {map[string]uint16{"battery_soc": 100}, true, false},
	} {
		if got := emptyBlock(d, words(c.set), c.lived); got != c.empty {
			t.Errorf("%s: empty %v", name, got)
		}
	}
}
