package metrics

import (
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"sunspool/health"
)

// Both roles have one metric for their links, which says nothing of a link that nothing has crossed.
func TestLinkMetricIsOneWordForEveryState(t *testing.T) {
	for _, device := range []string{"", "roof"} {
		c := health.New(time.Now, slog.New(slog.DiscardHandler))
		inverter, spool, vps := c.Link("inverter"), c.Link("spool"), c.Link("vps")
		set := NewSet()
		set.ShowLinks(c, device)
		set.ShowProcess("edge", "")
		up := func() map[string]float64 {
			found := map[string]float64{}
			if f := parsed(t, set)["sunspool_link_up"]; f != nil {
				for _, m := range f.Metric {
					labels := labelsOf(m)
					if labels["device"] != device {
						t.Errorf("%v, of device %q", labels, device)
					}
					found[labels["link"]] = m.GetGauge().GetValue()
				}
			}
			return found
		}
		if got := up(); len(got) != 0 {
			t.Errorf("before anything crossed: %v", got)
		}
		inverter.Report(&health.Fault{Code: "asleep", Err: health.ErrResting})
		spool.Report(nil)
		vps.Report(errors.New("away"))
		if got, want := up(), map[string]float64{"inverter": 1, "spool": 1, "vps": 0}; !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
