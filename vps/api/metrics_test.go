package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/docs/reference"
	"sunspool/health"
	"sunspool/internal/metrics"
	"sunspool/internal/testservices"
	"sunspool/vps/request"
	"sunspool/wire"
)

// What the server shows is in docs/metrics.md, and its names are by Prometheus' conventions.
func TestMetricsReferenceOfTheServer(t *testing.T) {
	b := newBench(t, func(s *Server) {
		s.Conflicts = func() uint64 { return 0 }
		s.Certificate, s.DataDir = time.Now, t.TempDir()
		s.Chain = health.New(time.Now, slog.New(slog.DiscardHandler))
		s.Chain.Link("redis").Report(nil)
	})
	m := newMetrics(b.Server)
	for _, counted := range []metrics.Counters{m.ingests, m.rejected, m.authFailures} {
		counted.With("x").Inc()
	}
	for _, timed := range []metrics.Durations{m.requests, m.calls} {
		timed.With("x", "x").Update(1)
	}
	reference.Metrics(t, "vps", testservices.Need(t, "prometheus", "promtool"), m.all)
}

// deliver sends samples of inv-1 as its edge does.
func (b *bench) deliver(edge wire.Edge, samples ...wire.Sample) {
	b.t.Helper()
	body, _ := json.Marshal(wire.Batch{Samples: samples, Edge: &edge})
	if w := b.post(token1, string(body)); w.Code != 200 {
		b.t.Fatalf("ingest: %d %s", w.Code, w.Body)
	}
}

// devicesShown is what /metrics/devices answers.
func (b *bench) devicesShown() string {
	b.t.Helper()
	w := do(b.Internal(), "GET", wire.DeviceMetricsPath, "", nil)
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		b.t.Fatalf("%d %s %s", w.Code, w.Header(), w.Body)
	}
	return w.Body.String()
}

// fullSample has every field.
func fullSample(ago time.Duration) wire.Sample {
	s := sample(ago)
	for i, f := range wire.Fields {
		f.Set(&s, new(float64(i+1)))
	}
	return s
}

func TestMetricsReferenceOfTheDevices(t *testing.T) {
	b := newBench(t)
	b.deliver(wire.Edge{Version: "1.2.3", Model: "SH10RT"}, fullSample(0))
	c := &request.Request{HTTP: httptest.NewRequest("GET", wire.DeviceMetricsPath, nil)}
	all, err := b.readings(c)
	if err != nil {
		t.Fatal(err)
	}
	reference.Metrics(t, "devices", testservices.Need(t, "prometheus", "promtool"), all.metrics())
}

func TestEveryFieldOfASampleIsADeviceMetric(t *testing.T) {
	for _, f := range wire.Fields {
		if !slices.ContainsFunc(deviceFields, func(d deviceField) bool { return d.field == f.Name }) {
			t.Errorf("%s is not at /metrics/devices", f.Name)
		}
	}
	if len(deviceFields) != len(wire.Fields) {
		t.Errorf("%d metrics of %d fields", len(deviceFields), len(wire.Fields))
	}
}

func TestDeviceMetricsAreTheNewestSample(t *testing.T) {
	now := testNow
	b := newBench(t, func(s *Server) { s.Now = func() time.Time { return now } })
	newest := fullSample(2 * time.Second)
	newest.BatteryTempC, newest.LoadPowerW = nil, nil
	b.deliver(wire.Edge{Version: "1.2.3", Model: "SH10RT", SpoolCount: 7, Quarantined: 2}, fullSample(time.Minute), newest)
	text := b.devicesShown()
	for _, want := range []string{
		`sunspool_device_pv_power_watts{device="inv-1"} 1`,
		`sunspool_device_battery_power_watts{device="inv-1"} 3`,
		`sunspool_device_battery_charge_ratio{device="inv-1"} 0.04`,
		`sunspool_device_pv_energy_joules_total{device="inv-1"} 2.88e+07`,
		`sunspool_device_last_sample_age_seconds{device="inv-1"} 2`,
		fmt.Sprintf(`sunspool_device_last_sample_timestamp_seconds{device="inv-1"} %v`, float64(newest.Time.Unix())),
		`sunspool_device_online{device="inv-1"} 1`,
		`sunspool_device_state{device="inv-1",state="live"} 1`,
		`sunspool_device_state{device="inv-1",state="stale"} 0`,
		`sunspool_device_spool_samples{device="inv-1"} 7`,
		`sunspool_device_quarantined_samples{device="inv-1"} 2`,
		`sunspool_device_info{device="inv-1",edge_version="1.2.3",model="SH10RT"} 1`,
		`sunspool_device_online{device="inv-2"} 0`, // it never sent anything
		`sunspool_device_state{device="inv-2",state="never"} 1`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	for _, absent := range []string{`battery_temperature_celsius{`, `load_power_watts{`, `sample_timestamp_seconds{device="inv-2"`, `watts{device="inv-2"`} {
		if strings.Contains(text, absent) {
			t.Errorf("%s is shown, and nobody measured it", absent)
		}
	}

	// Powers of a device that is silent are not frozen; its counters stay.
	now = now.Add(time.Hour)
	text = b.devicesShown()
	for want, there := range map[string]bool{
		`sunspool_device_online{device="inv-1"} 0`: true, `sunspool_device_last_sample_age_seconds{device="inv-1"} 3602`: true,
		`sunspool_device_pv_energy_joules_total{device="inv-1"} 2.88e+07`: true, `_watts{`: false, `_ratio{`: false, `pv_daily_energy_joules{`: false,
	} {
		if strings.Contains(text, want) != there {
			t.Errorf("an hour later %s: %v", want, !there)
		}
	}
}

// The devices of the tokens are shown and no others, whatever the store has and callers ask for.
func TestDeviceMetricsAreOfTheTokensDevices(t *testing.T) {
	b := newBench(t)
	if _, err := b.bolt.Insert(t.Context(), "foreign", []wire.Sample{sample(0)}); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		b.get(fmt.Sprintf("/v1/realtime?device_id=x%d", i), viewerAll)
		do(b.Internal(), "GET", fmt.Sprintf("%s?device_id=y%d", wire.DeviceMetricsPath, i), "", nil)
	}
	if text := b.devicesShown(); strings.Contains(text, "foreign") || strings.Count(text, "sunspool_device_online{") != 2 {
		t.Error(text)
	}
}

// /metrics/devices is for the operator's machines, and says that it cannot answer rather than answer in part.
func TestDeviceMetricsAreInternalAndWhole(t *testing.T) {
	b := newBench(t)
	for _, token := range []string{"", token1, viewerAll} {
		if w := b.get(wire.DeviceMetricsPath, token); w.Code != 404 {
			t.Errorf("in public it is %d", w.Code)
		}
	}
	if w := do(b.Readers("inv-1"), "GET", wire.DeviceMetricsPath, "", nil); w.Code != 404 {
		t.Errorf("of the readers it is %d", w.Code)
	}
	down := newBench(t, func(s *Server) { s.Store = &brokenStore{Samples: s.Store, err: errDisk} })
	if w := do(down.Internal(), "GET", wire.DeviceMetricsPath, "", nil); w.Code != 503 || strings.Contains(w.Body.String(), "sunspool_device") {
		t.Errorf("without its store it is %d %s", w.Code, w.Body)
	}
}
