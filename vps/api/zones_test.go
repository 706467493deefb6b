package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/history"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// in sends samples of inv-1 that name a zone, as many as one batch may have at a time.
func (b *bench) in(zone string, samples ...wire.Sample) {
	b.t.Helper()
	for len(samples) > 0 {
		n := min(len(samples), wire.MaxSamples)
		body, _ := json.Marshal(wire.Batch{Samples: samples[:n], Zone: zone})
		if w := b.post(token1, string(body)); w.Code != 200 {
			b.t.Fatalf("%d %s", w.Code, w.Body)
		}
		samples = samples[n:]
	}
}

// loads are samples of a house that needs 1 kW times the hour of UTC.
func loads(from, to time.Time) (samples []wire.Sample) {
	for at := from.UTC(); at.Before(to); at = at.Add(2 * time.Minute) {
		samples = append(samples, wire.Sample{DeviceID: "inv-1", Time: at, LoadPowerW: new(1000 * float64(at.Hour())), ExportPowerW: new(-1000 * float64(at.Hour())), Count: 1})
	}
	return samples
}

// cut is how a question about days is answered: the zone, the first and last row, and where the first begins.
func (b *bench) cut(query string) string {
	b.t.Helper()
	got := answered[energyTest](b, "/v1/energy?device_id=inv-1&"+query)
	n := len(got.Labels)
	return fmt.Sprint(got.TZ, " ", got.Labels[0], "..", got.Labels[n-1], " from ", time.Unix(got.From[0], 0).UTC().Format("02T15"))
}

func inBrussels(t *testing.T) (*bench, func(m time.Month, day, hour int) time.Time) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	return newBench(t), func(m time.Month, day, hour int) time.Time { return time.Date(2026, m, day, hour, 0, 0, 0, zone) }
}

// TestOlderSamplesChangeNoZone: an import, or a backlog, that names another one.
func TestOlderSamplesChangeNoZone(t *testing.T) {
	b, at := inBrussels(t)
	b.in("Europe/Brussels", loads(at(6, 1, 0), at(6, 3, 0))...)
	for _, again := range [][]wire.Sample{
		loads(at(2, 1, 0), at(2, 2, 0)),                                            // months older
		loads(at(6, 2, 0), at(6, 2, 12)),                                           // sent before
		loads(at(6, 2, 12), at(6, 3, 12)),                                          // sent before in part
		{loads(at(6, 1, 0), at(6, 1, 1))[0], loads(at(6, 21, 0), at(6, 22, 0))[0]}, // old and new
	} {
		b.in("UTC", again...)
		if got := b.cut("from=2026-06-01&to=2026-06-02"); got != "Europe/Brussels 2026-06-01..2026-06-02 from 31T22" {
			t.Errorf("%s", got)
		}
	}
	about, err := b.bolt.About(t.Context(), "inv-1")
	if len(about.Earlier) > 0 || about.Zone != "Europe/Brussels" || err != nil {
		t.Errorf("%+v, %v", about, err)
	}
}

// TestNewerSamplesBringTheirZone: a container that was started without its zone, and then again with it.
func TestNewerSamplesBringTheirZone(t *testing.T) {
	b, at := inBrussels(t)
	b.in("Europe/Brussels", loads(at(5, 28, 0), at(6, 10, 14))...)
	b.in("UTC", loads(at(6, 10, 14), at(6, 12, 9))...)
	if d := decodeJSON[devicesAnswer](t, b.get("/v1/devices", token1)).Devices[0]; d.TimeZone != "UTC" {
		t.Errorf("the present zone is %s", d.TimeZone)
	}
	b.in("Europe/Brussels", loads(at(6, 12, 9), testNow)...)

	b.restart() // a restart
	for query, want := range map[string]string{
		"from=2026-06-01&to=2026-06-09":               "Europe/Brussels 2026-06-01..2026-06-09 from 31T22",
		"from=2026-06-10&to=2026-06-10":               "Europe/Brussels 2026-06-10..2026-06-10 from 09T22", // it began there
		"from=2026-06-11&to=2026-06-11":               "UTC 2026-06-11..2026-06-11 from 11T00",
		"from=2026-06-12&to=2026-06-13":               "UTC 2026-06-12..2026-06-13 from 12T00",
		"from=2026-06-13&to=2026-06-13":               "Europe/Brussels 2026-06-13..2026-06-13 from 12T22",
		"from=2026-06-11&to=2026-06-12&tz=Asia/Tokyo": "Asia/Tokyo 2026-06-11..2026-06-12 from 10T15",
		"from=2026-06-11T12:00:00Z&to=2026-06-12":     "UTC 2026-06-11..2026-06-12 from 11T00",
		"resolution=hour&to=2026-06-11":               "UTC 2026-06-11T00:00:00Z..2026-06-11T23:00:00Z from 11T00",
		"to=2026-06-11":                               "Europe/Brussels 2026-06-01..2026-06-11 from 31T22",
		"":                                            "Europe/Brussels 2026-06-01..2026-06-21 from 31T22",
		"resolution=hour":                             "Europe/Brussels 2026-06-21T00:00:00+02:00..2026-06-21T12:00:00+02:00 from 20T22",
		"resolution=year":                             "Europe/Brussels 2026..2026 from 31T23",
	} {
		if got := b.cut(query); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	if d := decodeJSON[devicesAnswer](t, b.get("/v1/devices", token1)).Devices[0]; d.TimeZone != "Europe/Brussels" {
		t.Errorf("the present zone is %s", d.TimeZone)
	}
	b.Zone, _ = time.LoadLocation("Asia/Tokyo") // the operator on purpose
	if got := b.cut("from=2026-06-11&to=2026-06-11"); got != "Asia/Tokyo 2026-06-11..2026-06-11 from 10T15" {
		t.Errorf("%s", got)
	}
}

// TestMonthOfCapacityIsOfItsZone, and what is live is of the zone of now.
func TestMonthOfCapacityIsOfItsZone(t *testing.T) {
	b, at := inBrussels(t)
	b.in("Europe/Brussels", loads(at(5, 30, 0), at(6, 2, 0))...)
	b.in("America/New_York", loads(at(6, 20, 0), testNow)...)
	for month, want := range map[string]string{"2026-05": "2026-05-29T22:00:00Z", "2026-06": "2026-05-31T22:00:00Z"} {
		got := answered[history.CapacityAnswer](b, "/v1/capacity/month/"+month+"?device_id=inv-1")
		if first := got.Peaks[0].Bucket.Format(time.RFC3339); first != want {
			t.Errorf("%s begins at %s, want %s", month, first, want)
		}
	}
	today := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=1h")
	if want := "2026-06-21T00:00:00-04:00"; today.From.Format(time.RFC3339) != want {
		t.Errorf("today is from %v on, want %s", today.From, want)
	}
	sums := b.realtimeOf("inv-1")
	if sums.PVDailyKWh == nil || *sums.PVDailyKWh != 0 {
		t.Errorf("PV of today is %v", sums.PVDailyKWh)
	}
}

// restart makes b forget what only a process knows.
func (b *bench) restart() {
	b.Devices = deviceinfo.Devices{Gate: b.Devices.Gate, Store: b.Store, Zone: b.Zone}
}

// writes counts what is written to a store about its devices.
type writes struct {
	store.Samples
	n int
}

func (w *writes) Describe(ctx context.Context, device string, about store.About) error {
	w.n++
	return w.Samples.Describe(ctx, device, about)
}

func TestSameZoneIsWrittenOnce(t *testing.T) {
	w := new(writes)
	b := newBench(t, func(s *Server) { w.Samples = s.Store; s.Store = w })
	for i := range 20 {
		b.in("Europe/Brussels", sample(time.Duration(20-i)*time.Second))
	}
	if w.n != 1 {
		t.Errorf("written %d times", w.n)
	}
	b.in("UTC", sample(time.Hour)) // an import is no news either
	if w.n != 1 {
		t.Errorf("written %d times after an import", w.n)
	}
}

// TestUnknownZoneAfterARestartTakesNothingAway: the store knows more than the process that has just begun.
func TestUnknownZoneAfterARestartTakesNothingAway(t *testing.T) {
	b := newBench(t)
	b.in("Europe/Brussels", sample(time.Minute))
	b.restart()
	b.in("Mars/Base", sample(0))
	if about, err := b.bolt.About(t.Context(), "inv-1"); about.Zone != "Europe/Brussels" || err != nil {
		t.Errorf("%+v, %v", about, err)
	}
	if !strings.Contains(b.log.String(), "unknown time zone") {
		t.Error("no warning")
	}
}

// TestZonesOfAnotherProcessAreKept: two processes serve the same device, and each knows what it heard itself.
func TestZonesOfAnotherProcessAreKept(t *testing.T) {
	b := newBench(t)
	now := testNow
	b.Now = func() time.Time { return now }
	other := &Server{Gate: request.Gate{Tokens: b.Tokens, Log: b.Log, Now: b.Now}, Devices: deviceinfo.Devices{Store: b.Store}}
	second := &bench{Server: other, t: t, api: other.Handler(), log: b.log, bolt: b.bolt}
	b.in("Europe/Brussels", sample(time.Hour))
	second.in("UTC", sample(30*time.Minute))
	now = now.Add(10 * time.Minute)
	b.in("", sample(20*time.Minute)) // names none, and what it heard is to be written
	about, err := b.bolt.About(t.Context(), "inv-1")
	if about.Zone != "UTC" || len(about.Earlier) != 1 || !about.Earlier[0].Until.Equal(testNow.Add(-30*time.Minute)) || err != nil {
		t.Errorf("%+v, %v", about, err)
	}
}
