package api

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/wire"
)

// stringsOf returns a sample with two strings, of which the second one is what is left of the PV power.
func stringsOf(at time.Time, pv, first float64) wire.Sample {
	return wire.Sample{Time: at, PVPowerW: pv, Count: 1, Values: map[string]float64{"mppt1_voltage": 400, "mppt1_current": first / 400,
		"mppt2_voltage": 500, "mppt2_current": (pv - first) / 500, "grid_frequency": 50}}
}

// TestStringsAddUpToTheSun: the powers of strings are means over the same time as the PV power, also where samples are not
// evenly apart, in each resolution, of a day of 25 hours, and null where it is null.
func TestStringsAddUpToTheSun(t *testing.T) {
	now := time.Date(2026, 10, 25, 12, 2, 0, 0, time.UTC)
	b := zoned(t, "Europe/Brussels", now)
	var samples []wire.Sample
	for at, i := now.Add(-41*time.Hour), 0; at.Before(now); at, i = at.Add(time.Duration(5+i%7*13)*time.Second), i+1 {
		if h := at.Hour(); h == 9 { // a gap
			continue
		}
		samples = append(samples, stringsOf(at, float64(1000+i%900), float64(300+i%500)))
	}
	b.put("inv-1", samples)
	for _, query := range []string{"resolution=5m&from=2026-10-25&to=2026-10-25", "resolution=1m&from=2026-10-24T20:00:00Z&to=2026-10-25T13:00:00Z",
		"resolution=1h&from=2026-10-24&to=2026-10-24", "resolution=15m&from=2026-10-25&to=2026-10-25", "resolution=1d&from=2026-10-25&to=2026-10-25",
		"resolution=raw&from=2026-10-25T08:00:00Z&to=2026-10-25T11:00:00Z"} {
		got := answered[powersTest](b, "/v1/series?device_id=inv-1&columns=pv_w,mppt1_w,mppt2_w,mppt3_w&"+query)
		pv, known := got.Columns["pv_w"], 0
		for i := range pv {
			one, two := float64(got.Columns["mppt1_w"][i]), float64(got.Columns["mppt2_w"][i])
			if sum := one + two; math.IsNaN(float64(pv[i])) != math.IsNaN(sum) || math.Abs(sum-float64(pv[i])) > 0.25 {
				t.Fatalf("%s: %d: %v and %v W of strings, %v W of PV", query, i, one, two, pv[i])
			}
			if !math.IsNaN(one) {
				known++
			}
			if !math.IsNaN(float64(got.Columns["mppt3_w"][i])) {
				t.Fatalf("%s: a third string of %v W", query, got.Columns["mppt3_w"][i])
			}
		}
		if len(pv) != got.Count || known == 0 || known == len(pv) && got.Count > 1 && !strings.Contains(query, "raw") {
			t.Errorf("%s: %d of %d periods are known, %d entries", query, known, got.Count, len(pv))
		}
		if d := got.Quality["mppt1_w"]; d != "derived" && !strings.Contains(query, "raw") {
			t.Errorf("%s: quality %q", query, d)
		}
	}
}

// TestStringsOfLongSpansAreRefused, in whatever resolution: they would be computed from all samples.
func TestStringsOfLongSpansAreRefused(t *testing.T) {
	b := newBench(t)
	for _, query := range []string{"from=2026-06-01&to=2026-06-21", "resolution=1M&from=2026-06-21&to=2026-06-21", "resolution=1h&from=2026-06-19&to=2026-06-21T01:00:00Z"} {
		w := do(b.api, "GET", "/v1/series?device_id=inv-1&columns=pv_w,mppt2_w&"+query, token1, nil)
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"code":"too_many_points"`) || !strings.Contains(w.Body.String(), "at most 48 hours") {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	if got := answered[powersTest](b, "/v1/series?device_id=inv-1&columns=mppt1_w&from=2026-06-20&to=2026-06-21&resolution=5m"); got.Count != 576 {
		t.Errorf("%d periods of two days", got.Count)
	}
}

// TestOrdinaryColumnsAreNotThoseOfStrings: strings cost the samples, so nobody gets them who did not ask.
func TestOrdinaryColumnsAreNotThoseOfStrings(t *testing.T) {
	for _, name := range history.DefaultMeans {
		if strings.HasPrefix(name, "mppt") {
			t.Errorf("%s is answered to all", name)
		}
	}
}
