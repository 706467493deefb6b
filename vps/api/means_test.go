package api

import (
	"fmt"
	"math"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/wire"
)

// powersTest is an answer of /v1/series over a span.
type powersTest struct {
	From, To    time.Time
	Resolution  string
	ResolutionS int64 `json:"resolution_s"`
	Start       int64
	Count       int
	T           []float64
	TZ          struct {
		Name    string
		Offsets [][2]int64
	}
	Columns     map[string][]history.Number
	Quality     map[string]string
	Gaps        []history.EmptySpan
	PartialLast bool `json:"partial_last"`
}

// TestDayOfTheSeriesIsTheDashboards: the 25 hours of a day in autumn, as the design shows it.
func TestDayOfTheSeriesIsTheDashboards(t *testing.T) {
	now := time.Date(2026, 10, 25, 12, 2, 0, 0, time.UTC)
	b := zoned(t, "Europe/Brussels", now)
	b.put("inv-1", newHouse(7).live(now.Add(-40*time.Hour), now))
	got := answered[powersTest](b, "/v1/series?device_id=inv-1&from=2026-10-25&to=2026-10-25&resolution=auto")
	if got.Resolution != "5m" || got.Start != 1792879200 || got.Count != 300 || got.TZ.Name != "Europe/Brussels" ||
		fmt.Sprint(got.TZ.Offsets) != "[[1792879200 7200] [1792890000 3600]]" || !got.PartialLast || len(got.Gaps) != 0 || got.T != nil ||
		got.From.Format(time.RFC3339) != "2026-10-25T00:00:00+02:00" || got.To.Format(time.RFC3339) != "2026-10-26T00:00:00+01:00" {
		t.Errorf("%+v", got)
	}
	if len(got.Columns) != len(history.DefaultMeans) || got.Quality["grid_home_w"] != "derived" || got.Quality["grid_w"] != "" || got.Quality["pv_max_w"] != "" {
		t.Errorf("columns %d, quality %v", len(got.Columns), got.Quality)
	}
	running := int(now.Unix()-got.Start) / 300
	for i, v := range got.Columns["load_w"] {
		if math.IsNaN(float64(v)) != (i > running) {
			t.Errorf("slot %d of %d: %v", i, running, v)
		}
	}
}

// TestPowersAreMeansOfWhatWasMeasured, with their signs.
func TestPowersAreMeansOfWhatWasMeasured(t *testing.T) {
	b := zoned(t, "UTC", testNow)
	var samples []wire.Sample
	for i := range 60 { // five minutes that buy 400 W and charge 300 W of it
		samples = append(samples, wire.Sample{Time: testNow.Add(-10*time.Minute + time.Duration(i)*5*time.Second), PVPowerW: float64(i % 2 * 1000),
			LoadPowerW: new(600.0), BatteryPowerW: new(300.0), ExportPowerW: new(-400.0), BatterySOCPct: new(40.0), Count: 1})
	}
	b.put("inv-1", samples)
	got := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=5m&from=2026-06-21T10:20:00Z&to=2026-06-21T10:30:00Z&columns=pv_w,pv_max_w,load_w,grid_w,battery_w,soc_pct,import_w,export_w,coverage")
	for name, want := range map[string]history.Number{"pv_w": 500, "pv_max_w": 1000, "load_w": 600, "grid_w": 400, "battery_w": 300, "soc_pct": 40, "import_w": 400, "export_w": 0} {
		if v := got.Columns[name]; len(v) != 2 || math.Abs(float64(v[0]-want)) > 10 || !math.IsNaN(float64(v[1])) {
			t.Errorf("%s is %v, want %v and null", name, v, want)
		}
	}
	if c := got.Columns["coverage"]; math.Abs(float64(c[0])-1) > 0.01 || c[1] != 0 {
		t.Errorf("coverage is %v, want 1 and 0", c)
	}
	raw := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=raw&from=2026-06-21T10:20:00Z&to=2026-06-21T10:20:12Z")
	if raw.Count != 3 || fmt.Sprint(raw.T) != fmt.Sprint([]float64{1782037200, 1782037205, 1782037210}) || fmt.Sprint(raw.Columns["pv_w"]) != "[0 1000 0]" ||
		fmt.Sprint(raw.Columns["grid_w"]) != "[400 400 400]" || fmt.Sprint(raw.Columns["battery_w"]) != "[300 300 300]" {
		t.Errorf("%+v", raw)
	}
	minute := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=1m&from=2026-06-21T10:20:00%2B00:00&to=2026-06-21T10:25:00+00:00")
	if minute.Count != 5 || minute.Columns["load_w"][4] != 600 {
		t.Errorf("%+v", minute)
	}
}

func TestGapIsNullAndNamed(t *testing.T) {
	b := zoned(t, "UTC", testNow)
	start := testNow.Add(-10 * time.Hour)
	h := newHouse(8)
	b.put("inv-1", h.live(start, start.Add(3*time.Hour)))
	b.put("inv-1", h.live(start.Add(3*time.Hour+35*time.Minute), start.Add(5*time.Hour)))
	b.put("inv-1", h.live(start.Add(5*time.Hour+7*time.Minute), testNow.Add(-20*time.Minute)))
	got := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=5m")
	if len(got.Gaps) != 3 || got.PartialLast {
		t.Fatalf("%+v", got.Gaps)
	}
	for i, want := range []history.EmptySpan{
		{From: testNow.Truncate(24 * time.Hour).Unix(), To: start.Unix(), Reason: "not_received"},
		{From: start.Add(3 * time.Hour).Unix(), To: start.Add(3*time.Hour + 35*time.Minute).Unix(), Reason: "not_received"},
		{From: testNow.Add(-20 * time.Minute).Unix(), To: testNow.Unix(), Reason: "not_received"},
	} {
		if g := got.Gaps[i]; math.Abs(float64(g.From-want.From)) > 61 || math.Abs(float64(g.To-want.To)) > 61 || g.Reason != want.Reason {
			t.Errorf("gap %d is %+v, want %+v", i, g, want)
		}
	}
}

func TestSpansChooseTheirResolution(t *testing.T) {
	b := newBench(t)
	for query, want := range map[string]string{
		"from=2026-06-21T08:00:00Z&to=2026-06-21T10:00:00Z": "1m 120",
		"from=2026-06-21&to=2026-06-21":                     "5m 288",
		"from=2026-06-15&to=2026-06-21":                     "15m 672",
		"from=2026-06-01&to=2026-06-30":                     "1h 720",
		"from=2026-01-01&to=2026-12-31":                     "1d 365",
		"from=2015-01-01&to=2026-12-31":                     "1M 144",
		"resolution=1d&from=2026-06-01&to=2026-06-30":       "1d 30",
		"resolution=1y&from=2024-01-01&to=2026-12-31":       "1y 3",
		"resolution=1M&from=2026-06-15&to=2026-07-15":       "1M 2",
		"resolution=1d&from=2027-01-01":                     "1d 0",
	} {
		got := answered[powersTest](b, "/v1/series?device_id=inv-1&"+query)
		if s := fmt.Sprint(got.Resolution, " ", got.Count); s != want {
			t.Errorf("%s: %s, want %s", query, s, want)
		}
		if long := got.ResolutionS == 0; long != (len(got.T) == got.Count) && got.Count > 0 {
			t.Errorf("%s: %d s, %d times", query, got.ResolutionS, len(got.T))
		}
	}
}

// TestEndOfALeapYearIsNoChangeOfClocks, although Go takes it for one where they follow a rule, and a day too early.
func TestEndOfALeapYearIsNoChangeOfClocks(t *testing.T) {
	b := zoned(t, "Europe/Brussels", testNow)
	got := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=1h&from=2040-12-30&to=2041-01-02")
	if got.Count != 96 || len(got.TZ.Offsets) != 1 {
		t.Errorf("%d hours, offsets %v", got.Count, got.TZ.Offsets)
	}
}
