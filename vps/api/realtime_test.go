package api

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/wire"
)

type realtimeAnswer struct {
	realtime
	Detail string
}

func (b *bench) realtimeOf(device string) realtimeAnswer {
	b.t.Helper()
	w := b.get("/v1/realtime?device_id="+device, viewerAll)
	if w.Code != 200 {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return decodeJSON[realtimeAnswer](b.t, w)
}

func TestRealtimeIsTheNewestSampleAndWhatFollowsFromIt(t *testing.T) {
	b := newBench(t)
	s := sample(3 * time.Second)
	s.ImportTotalKWh, s.ExportTotalKWh, s.PVTotalKWh = new(1234.5), new(6789.1), new(9999.9)
	s.Values = map[string]float64{"grid_frequency_hz": 50.02}
	b.ingested(sample(8*time.Second), s, sample(13*time.Second))
	got := b.realtimeOf("inv-1")
	if !got.Time.Equal(s.Time) || got.AgeS != 3 || got.State != "live" || got.Values["grid_frequency_hz"] != 50.02 {
		t.Errorf("%+v", got)
	}
	if *got.GridPowerW != -2000.5 || *got.PowerW != -2001 || *got.ImportPowerW != 0 || *got.EnergyImportKWh != 1234.5 || *got.EnergyExportKWh != 6789.1 {
		t.Errorf("the grid meter's part: %+v", got)
	}
	if *got.Flows.SolarHome != 730 || *got.Flows.SolarBattery != 1480 || *got.Flows.SolarGrid != 2000.5 || *got.Flows.GridHome != 0 {
		t.Errorf("flows: %+v", got.Flows)
	}
}

// TestAbsentIsNullNeverZero: a unit without battery and meter.
func TestAbsentIsNullNeverZero(t *testing.T) {
	b := newBench(t)
	b.ingested(wire.Sample{DeviceID: "inv-1", Time: testNow, PVPowerW: 100, PVDailyKWh: new(1.5), Count: 1})
	w := b.get("/v1/realtime?device_id=inv-1", token1)
	var got map[string]json.RawMessage
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"battery_power_w", "battery_soc_pct", "battery_temp_c", "load_power_w", "export_power_w",
		"grid_power_w", "power_w", "import_power_w", "energy_import_kwh", "energy_export_kwh"} {
		if v, ok := got[name]; !ok || string(v) != "null" {
			t.Errorf("%s is %q", name, v)
		}
	}
	if string(got["pv_power_w"]) != "100" || string(got["pv_daily_kwh"]) != "1.5" || strings.Count(string(got["flows"]), "null") != 8 {
		t.Errorf("%s", w.Body)
	}
}

func TestStateFollowsTheAgeInPolls(t *testing.T) {
	for _, test := range []struct {
		age  time.Duration
		poll float64
		want string
	}{
		{0, 0, "live"}, {15 * time.Second, 5, "live"}, {16 * time.Second, 5, "delayed"}, {time.Minute, 0, "delayed"},
		{61 * time.Second, 0, "stale"}, {15 * time.Minute, 0, "stale"}, {901 * time.Second, 0, "offline"},
		{90 * time.Second, 30, "live"}, {91 * time.Second, 30, "delayed"}, {10000 * time.Hour, 1e300, "offline"},
	} {
		if got, _ := deviceinfo.Freshness(test.age, &wire.Edge{PollIntervalS: test.poll}); got != test.want {
			t.Errorf("%v at a poll of %v s is %s, want %s", test.age, test.poll, got, test.want)
		}
	}
	now := testNow
	b := newBench(t, func(s *Server) { s.Now = func() time.Time { return now } })
	body, _ := json.Marshal(wire.Batch{Samples: []wire.Sample{sample(0)}, Edge: &wire.Edge{Version: "1", PollIntervalS: 60}})
	b.post(token1, string(body))
	now = now.Add(3 * time.Minute)
	if got := b.realtimeOf("inv-1").State; got != "live" {
		t.Errorf("3 minutes after the last sample of an edge that polls every minute: %s", got)
	}
}

// TestDailyEnergyIsIntegratedWhereTheInverterDoesNotSayIt from local midnight, which is 22:00 UTC the day before.
func TestDailyEnergyIsIntegratedWhereTheInverterDoesNotSayIt(t *testing.T) {
	b := newBench(t)
	var samples []wire.Sample
	midnight := time.Date(2026, 6, 20, 22, 0, 0, 0, time.UTC)
	add := func(at time.Time, watts float64) {
		samples = append(samples, wire.Sample{DeviceID: "inv-1", Time: at, PVPowerW: watts, Count: 1})
	}
	for m := range 15 {
		add(midnight.Add(-15*time.Minute).Add(time.Duration(m)*time.Minute), 99_999) // yesterday, local time
	}
	for m := range 60 {
		add(midnight.Add(time.Duration(m)*time.Minute), 1000)                  // today there, yesterday in UTC: 1 kWh
		add(midnight.Add(8*time.Hour).Add(time.Duration(m)*time.Minute), 4000) // 06:00 to 07:00 UTC: 4 kWh
	}
	for m := range 16 {
		add(testNow.Add(-15*time.Minute).Add(time.Duration(m)*time.Minute), 2000) // the last quarter: 0.5 kWh
	}
	body, _ := json.Marshal(wire.Batch{Samples: samples, Zone: "Europe/Brussels"})
	// The contract requires the keys, null is an answer.
	if w := b.post(token1, string(body)); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := b.realtimeOf("inv-1").PVDailyKWh; got == nil || math.Abs(*got-5.5) > 0.01 {
		t.Errorf("pv_daily_kwh %v, want 5.5", *got)
	}
}

// TestFlowsConserve: for any powers the seven flows are not negative, and explain each node but for Unaccounted.
func TestFlowsConserve(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		power := func(low, high float64) *float64 { return new(math.Round(low + random.Float64()*(high-low))) }
		s := wire.Sample{PVPowerW: *power(-10, 9000), BatteryPowerW: power(-5000, 5000), LoadPowerW: power(-50, 9000), ExportPowerW: power(-9000, 9000)}
		f := flowsOf(&s)
		for name, flow := range map[string]*float64{"solar_home": f.SolarHome, "solar_battery": f.SolarBattery, "solar_grid": f.SolarGrid,
			"battery_home": f.BatteryHome, "battery_grid": f.BatteryGrid, "grid_home": f.GridHome, "grid_battery": f.GridBattery} {
			if *flow < 0 {
				t.Fatalf("%s is %v of %+v", name, *flow, s)
			}
		}
		within := func(node string, sum, limit float64) {
			if sum > max(limit, 0)+0.01 {
				t.Fatalf("%s: flows of %v W exceed %v W: %+v", node, sum, limit, s)
			}
		}
		within("solar", *f.SolarHome+*f.SolarBattery+*f.SolarGrid, s.PVPowerW)
		within("load", *f.SolarHome+*f.BatteryHome+*f.GridHome, *s.LoadPowerW)
		within("charge", *f.SolarBattery+*f.GridBattery, *s.BatteryPowerW)
		within("discharge", *f.BatteryHome+*f.BatteryGrid, -*s.BatteryPowerW)
		within("export", *f.SolarGrid+*f.BatteryGrid, *s.ExportPowerW)
		within("import", *f.GridHome+*f.GridBattery, -*s.ExportPowerW)
	}
	balanced := wire.Sample{PVPowerW: 4210, BatteryPowerW: new(1480.0), LoadPowerW: new(730.0), ExportPowerW: new(2000.0)}
	if f := flowsOf(&balanced); *f.SolarHome+*f.SolarBattery+*f.SolarGrid != 4210 || *f.Unaccounted != 0 {
		t.Errorf("a balance is not explained: %+v", f)
	}
	noBattery := wire.Sample{PVPowerW: 3000, LoadPowerW: new(1000.0), ExportPowerW: new(1900.0)}
	if f := flowsOf(&noBattery); *f.SolarHome != 1000 || *f.SolarBattery != 0 || *f.SolarGrid != 1900 || *f.GridHome != 0 || *f.Unaccounted != 100 {
		t.Errorf("a home without battery is not explained: %+v", f)
	}
}

func (b *bench) seriesStarts(query string) []string {
	b.t.Helper()
	w := b.get("/v1/series?device_id=inv-1&"+query, token1)
	if w.Code != 200 {
		b.t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	var starts []string
	for _, bucket := range decodeJSON[struct {
		Series []struct{ Bucket string }
	}](b.t, w).Series {
		starts = append(starts, bucket.Bucket)
	}
	return starts
}

func TestSeriesLeavesTheRunningBucketOutUnlessAsked(t *testing.T) {
	b := newBench(t)
	hour, day := time.Hour, 24*time.Hour
	b.ingested(sample(0), sample(hour), sample(3*hour), sample(13*hour), sample(2*day), sample(40*day), sample(200*day))
	body, _ := json.Marshal(map[string]any{"tz": "Europe/Brussels", "samples": []any{}})
	b.post(token1, string(body))
	for query, want := range map[string]string{
		// testNow is 12:30 on the 21st of June in Brussels, 10:30 UTC.
		"frame=day":                    "2026-06-21T07:00:00Z 2026-06-21T09:00:00Z",
		"frame=day&partial=1":          "2026-06-21T07:00:00Z 2026-06-21T09:00:00Z 2026-06-21T10:00:00Z",
		"frame=month":                  "2026-06-18T22:00:00Z 2026-06-19T22:00:00Z",
		"frame=month&partial=1":        "2026-06-18T22:00:00Z 2026-06-19T22:00:00Z 2026-06-20T22:00:00Z",
		"frame=year":                   "2026-04-30T22:00:00Z",
		"frame=year&partial=1":         "2026-04-30T22:00:00Z 2026-05-31T22:00:00Z",
		"frame=all":                    "2025-11-30T23:00:00Z 2026-04-30T22:00:00Z",
		"frame=all&partial=1":          "2025-11-30T23:00:00Z 2026-04-30T22:00:00Z 2026-05-31T22:00:00Z",
		"frame=all&tz=UTC":             "2025-12-01T00:00:00Z 2026-05-01T00:00:00Z",
		"frame=month&partial=1&tz=UTC": "2026-06-19T00:00:00Z 2026-06-20T00:00:00Z 2026-06-21T00:00:00Z",
		"frame=week&frame=day":         "2026-06-21T07:00:00Z 2026-06-21T09:00:00Z", // the last one counts
		"frame=day&later=x&from=0":     "2026-06-21T07:00:00Z 2026-06-21T09:00:00Z",
	} {
		if got := strings.Join(b.seriesStarts(query), " "); got != want {
			t.Errorf("%s\n got %s\nwant %s", query, got, want)
		}
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	b := newBench(t)
	for _, w := range []*httptest.ResponseRecorder{
		b.get("/", ""), b.get("/health", ""), b.get("/v1/realtime?device_id=inv-1", token1), b.get("/nowhere", ""), b.get("/v1/ingest", ""),
	} {
		h := w.Header()
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%d: %v", w.Code, h)
		}
	}
	if w := do(b.api, "HEAD", "/health", "", nil); w.Code != 200 || w.Header().Get("Content-Length") != "15" {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
}

func TestOnlyAllowedOriginsMayRead(t *testing.T) {
	const friend = "https://panel.example.org"
	b := newBench(t, func(s *Server) { s.Origins = []string{friend} })
	allowed := func(method, origin string, headers ...string) string {
		w := do(b.api, method, "/v1/realtime?device_id=inv-1", token1, nil, append(headers, "Origin", origin)...)
		return w.Header().Get("Access-Control-Allow-Origin")
	}
	if got := allowed("GET", friend); got != friend {
		t.Errorf("GET of the friend: %q", got)
	}
	for _, origin := range []string{"https://evil.example", "null", "*", friend + ".evil.example", "http://panel.example.org", friend + ":8443", ""} {
		if got := allowed("GET", origin); got != "" {
			t.Errorf("%q is answered with %q", origin, got)
		}
	}
	preflight := func(method string) *httptest.ResponseRecorder {
		return do(b.api, "OPTIONS", "/v1/realtime", "", nil, "Origin", friend, "Access-Control-Request-Method", method)
	}
	if w := preflight("GET"); w.Code != 204 || w.Header().Get("Access-Control-Allow-Headers") != "Authorization, Last-Event-ID" {
		t.Errorf("preflight of GET: %d %v", w.Code, w.Header())
	}
	if w := preflight("POST"); w.Code != 405 || w.Header().Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("preflight of POST: %d %v", w.Code, w.Header())
	}
	if got := allowed("POST", friend); got != "" {
		t.Errorf("POST of the friend: %q", got)
	}
}
