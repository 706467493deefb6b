package health

import (
	"errors"
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Both roles have one metric for their links, which says nothing of a link that nothing has crossed.
func TestLinkMetricIsOneWordForEveryState(t *testing.T) {
	c, links, _, _ := chainOf()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	RegisterProcess(registry, "edge", "")
	up := func() map[string]float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]float64{}
		for _, f := range families {
			for _, m := range f.Metric {
				if f.GetName() == "sunspool_link_up" {
					found[m.Label[0].GetValue()] = m.GetGauge().GetValue()
				}
			}
		}
		return found
	}
	if got := up(); len(got) != 0 {
		t.Errorf("before anything crossed: %v", got)
	}
	links[0].Report(&Fault{Code: "asleep", Err: ErrResting})
	links[1].Report(nil)
	links[2].Report(errors.New("away"))
	if got, want := up(), map[string]float64{"inverter": 1, "spool": 1, "vps": 0}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
