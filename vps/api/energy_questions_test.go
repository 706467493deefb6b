package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/wire"
)

// recorder writes down what is asked of a store.
type recorder struct {
	store.Samples
	asked []string
	read  int // samples one by one
}

func (r *recorder) Periods(ctx context.Context, q store.Query) ([]energy.Period, error) {
	r.asked = append(r.asked, "periods "+string(q.Resolution))
	return r.Samples.Periods(ctx, q)
}

func (r *recorder) Each(ctx context.Context, device string, from, to time.Time, yield func(wire.Sample) bool) error {
	r.asked = append(r.asked, "each")
	return r.Samples.Each(ctx, device, from, to, func(s wire.Sample) bool { r.read++; return yield(s) })
}

func (r *recorder) Surrounded(ctx context.Context, q store.Query) ([]energy.Period, energy.Around, error) {
	r.asked = append(r.asked, "surrounded "+string(q.Resolution))
	return r.Samples.Surrounded(ctx, q)
}

// TestCostDoesNotDependOnTheDensity: a device that is polled ten times as often costs the same questions, and none of
// them reads samples.
func TestCostDoesNotDependOnTheDensity(t *testing.T) {
	r := new(recorder)
	b := newBench(t, func(s *Server) { r.Samples = s.Store; s.Store, s.Zone = r, time.UTC })
	for device, step := range map[string]time.Duration{"inv-1": 15 * time.Second, "inv-2": 150 * time.Second} {
		var samples []wire.Sample
		for at := testNow.AddDate(0, 0, -14); at.Before(testNow); at = at.Add(step) {
			samples = append(samples, wire.Sample{Time: at, PVPowerW: 1000, Count: 1})
		}
		b.put(device, samples)
	}
	for _, target := range []string{
		"/v1/energy?resolution=month", "/v1/energy?resolution=year", "/v1/energy?resolution=hour&from=2026-06-08&to=2026-06-20", "/v1/energy?resolution=day&compare=previous",
		"/v1/series?resolution=1d&from=2026-01-01&to=2026-12-31", "/v1/series?resolution=auto", "/v1/capacity/month/2026-06",
		"/v1/continuity?from=2026-06-08&to=2026-06-20",
	} {
		var cost [2]string
		for i, device := range []string{"inv-1", "inv-2"} {
			r.asked, r.read = nil, 0
			separator := "?"
			if strings.Contains(target, "?") {
				separator = "&"
			}
			answered[json.RawMessage](b, target+separator+"device_id="+device)
			cost[i] = strings.Join(r.asked, ", ")
			if r.read > 0 || len(r.asked) > 6 {
				t.Errorf("%s reads %d samples, asks %s", target, r.read, cost[i])
			}
		}
		if cost[0] != cost[1] {
			t.Errorf("%s costs\n%s\n%s", target, cost[0], cost[1])
		}
	}
}

func TestBadQuestionsAreRefusedWithWhatToAskInstead(t *testing.T) {
	b := newBench(t)
	for target, want := range map[string]string{
		"/v1/energy": "422 missing add device_id to the query; GET /v1/devices lists the devices of this token, GET /openapi.yaml every parameter",
		"/v1/energy?device_id=inv-1&resolution=week":                 "422 bad_resolution",
		"/v1/energy?device_id=inv-1&compare=tomorrow":                "422 bad_compare",
		"/v1/energy?device_id=inv-1&from=yesterday":                  "422 datetime_parsing",
		"/v1/energy?device_id=inv-1&from=2026-06-21T10:00:00":        "422 datetime_parsing",
		"/v1/energy?device_id=inv-1&from=0001-01-01":                 "422 datetime_parsing",
		"/v1/energy?device_id=inv-1&to=9999-12-31":                   "422 datetime_parsing",
		"/v1/energy?device_id=inv-1&from=2026-06-21&to=2026-06-20":   "422 bad_range",
		"/v1/energy?device_id=inv-1&tz=Mars/Base":                    "422 timezone",
		"/v1/energy?device_id=inv-1&resolution=hour&from=2020-01-01": "422 too_many_points ask for resolution=1d, or for a shorter span",
		"/v1/series?device_id=inv-1&resolution=2m":                   "422 bad_resolution",
		"/v1/series?device_id=inv-1&from=2026-01-01&columns=pv_w,x":  "422 columns",
		"/v1/series?device_id=inv-1&resolution=1m&from=2026-06-01":   "422 too_many_points ask for resolution=5m, or for a shorter span",
		"/v1/series?device_id=inv-1&resolution=raw&from=2026-06-01":  "422 too_many_points ask for resolution=1m, or for a shorter span",
		"/v1/series?device_id=inv-1&resolution=5m&from=2025-06-01":   "422 too_many_points ask for resolution=1h, or for a shorter span",
		"/v1/capacity/month/2026-13?device_id=inv-1":                 "400 bad_month",
		"/v1/capacity/month/June?device_id=inv-1":                    "400 bad_month",
		"/v1/capacity/month/2026-06-01?device_id=inv-1":              "400 bad_month",
		"/v1/capacity/month/2026-06":                                 "422 missing add device_id to the query; GET /v1/devices lists the devices of this token, GET /openapi.yaml every parameter",
		"/v1/capacity/month/":                                        "404  GET /openapi.yaml lists every path",
		"/v1/capacity/month/2026-06/x?device_id=inv-1":               "404  GET /openapi.yaml lists every path",
		"/v1/continuity?device_id=inv-1&from=2020-01-01":             "422 too_long ask for one year after the other",
		"/v1/export.csv?device_id=inv-1&resolution=1m":               "422 bad_resolution",
		"/v1/export.csv?device_id=inv-1&sep=|":                       "422 bad_separator",
		"/v1/devices?limit=0":                                        "422 bad_limit",
		"/v1/devices?limit=many":                                     "422 bad_limit",
	} {
		w := b.get(target, viewerAll)
		problem := decodeJSON[wire.Problem](t, w)
		if got := strings.TrimSuffix(fmt.Sprintf("%d %s %s", w.Code, problem.Code, problem.Next), " "); got != want && got != strings.TrimSuffix(want, " ") {
			t.Errorf("GET %s: %s, want %s", target, got, want)
		}
	}
}

func TestReadingEndpointsNeedTheRightToken(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(0))
	for _, path := range []string{"/v1/energy?", "/v1/capacity/month/2026-06?", "/v1/continuity?", "/v1/export.csv?", "/v1/series?resolution=5m&", "/v1/devices?"} {
		for token, want := range map[string]int{token1: 200, viewer1: 200, viewerAll: 200, token2: 403, tokenWrong: 401, "": 401} {
			if w := b.get(path+"device_id=inv-1", token); w.Code != want {
				t.Errorf("GET %s with token %.15q: %d, want %d", path, token, w.Code, want)
			}
		}
		if w := do(b.api, "POST", path+"device_id=inv-1", token1, nil); w.Code != 405 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
		if w := do(b.Readers("inv-1"), "GET", path+"device_id=inv-1", "", nil); w.Code != 200 {
			t.Errorf("readers, GET %s: %d", path, w.Code)
		}
		if w := do(b.Readers("inv-1"), "GET", path+"device_id=inv-2", "", nil); w.Code != 403 {
			t.Errorf("readers, GET %s of another: %d", path, w.Code)
		}
	}
	b.Store = brokenStore{err: errDisk}
	for _, path := range []string{"/v1/energy?", "/v1/capacity/month/2026-06?", "/v1/continuity?", "/v1/export.csv?", "/v1/series?resolution=5m&", "/v1/devices?"} {
		if w := b.get(path+"device_id=inv-1", token1); w.Code != 503 || w.Header().Get("Retry-After") != "5" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("GET %s from a broken store: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestSiteZoneOverridesTheEdges(t *testing.T) {
	b := newBench(t)
	body, _ := json.Marshal(wire.Batch{Samples: []wire.Sample{sample(0)}, Zone: "Asia/Kolkata"})
	b.post(token1, string(body))
	tz := func() string { return answered[energyTest](b, "/v1/energy?device_id=inv-1").TZ }
	if got := tz(); got != "Asia/Kolkata" {
		t.Errorf("the edge's zone is %s", got)
	}
	b.Zone, _ = time.LoadLocation("Europe/Brussels")
	if got := tz(); got != "Europe/Brussels" {
		t.Errorf("the site's zone is %s", got)
	}
	if got := answered[energyTest](b, "/v1/energy?device_id=inv-1&tz=UTC").TZ; got != "UTC" {
		t.Errorf("the zone that was asked for is %s", got)
	}
}
