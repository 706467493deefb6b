package api

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/store"
	"sunspool/wire"
)

func TestDevicesAreThoseThatTheTokenMayRead(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(3 * time.Second))
	b.put("gone", []wire.Sample{sample(400 * 24 * time.Hour)}) // its token was taken away
	for token, want := range map[string]string{
		viewerAll: "viewer [gone:offline inv-1:live inv-2:never]", viewer1: "viewer [inv-1:live]", token1: "device [inv-1:live]", token2: "device [inv-2:never]",
	} {
		got := decodeJSON[devicesAnswer](t, b.get("/v1/devices", token))
		var lines []string
		for _, d := range got.Devices {
			lines = append(lines, d.ID+":"+d.State)
		}
		if s := fmt.Sprint(got.Role, " ", lines); s != want || got.After != nil {
			t.Errorf("token %.15q sees %s, want %s", token, s, want)
		}
	}
	if w := b.get("/v1/devices?device_id=inv-1", token2); w.Code != 403 {
		t.Errorf("another's device: %d", w.Code)
	}
}

func TestDeviceLineSaysWhatIsKnown(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Version = "1.2.3" })
	s := sample(3 * time.Second)
	s.PVTotalKWh = new(100.0)
	body, _ := json.Marshal(wire.Batch{Samples: []wire.Sample{sample(24 * time.Hour), s}, Zone: "Europe/Brussels",
		Edge: &wire.Edge{Version: "1.2", Model: "SH10RT", Serial: "A23…001", Firmware: "ARM_V11, MDSP_V11", PollIntervalS: 10, SpoolCount: 7, Quarantined: 2, State: "ok"}})
	if w := b.post(token1, string(body)); w.Code != 200 {
		t.Fatal(w.Body)
	}
	got := decodeJSON[devicesAnswer](t, b.get("/v1/devices", token1))
	d := got.Devices[0]
	if got.Server.Version != "1.2.3" || !got.Server.Time.Equal(testNow) || *d.Model != "SH10RT" || d.Serial != "A23…001" || d.Firmware != "ARM_V11, MDSP_V11" || d.TimeZone != "Europe/Brussels" || *d.PollIntervalS != 10 ||
		!d.FirstSample.Equal(testNow.Add(-24*time.Hour)) || !d.LastSample.Equal(s.Time) || *d.AgeS != 3 || d.State != "live" ||
		*d.Capabilities != (capabilities{true, true, true, true}) {
		t.Errorf("%+v", d)
	}
	edge := d.Chain[1]
	if d.Chain[0].State != "ok" || edge.State != "ok" || *edge.Spool != 7 || *edge.Quarantined != 2 || edge.Says != "ok" || edge.Version != "1.2" || d.Chain[2].State != "ok" {
		t.Errorf("%+v", d.Chain)
	}
	if never := decodeJSON[devicesAnswer](t, b.get("/v1/devices", token2)).Devices[0]; never.FirstSample != nil || never.AgeS != nil || never.Capabilities != nil ||
		never.Chain[1].State != "unknown" || never.TimeZone != "UTC" {
		t.Errorf("%+v", never)
	}
}

func TestClockOfAnEdgeIsComparedAndChangesNoSample(t *testing.T) {
	b := newBench(t)
	send := func(at time.Duration, edge wire.Edge) []hop {
		t.Helper()
		body, _ := json.Marshal(wire.Batch{Samples: []wire.Sample{sample(at)}, Edge: &edge})
		if w := b.post(token1, string(body)); w.Code != 200 {
			t.Fatal(w.Body)
		}
		return decodeJSON[devicesAnswer](t, b.get("/v1/devices", token1)).Devices[0].Chain
	}
	for i, c := range []struct {
		sent time.Duration // before it arrives
		want string
	}{
		{52 * time.Second, "52"}, {41300 * time.Millisecond, "41.3"}, {time.Minute, "41.3"}, // behind, on a slow line
		{400 * time.Millisecond, "0.4"}, // set right
		{0, "none"},                     // an older edge
		{-15 * time.Second, "-15"},      // ahead
	} {
		at, edge := time.Duration(10-i)*time.Minute, wire.Edge{Version: "1.2"}
		if c.sent != 0 {
			edge.Time = testNow.Add(-c.sent)
		}
		chain, got := send(at, edge), "none"
		if skew := chain[1].ClockSkewS; skew != nil {
			got = fmt.Sprint(*skew)
		}
		if got != c.want || chain[0].ClockSkewS != nil || chain[2].ClockSkewS != nil {
			t.Errorf("batch %d, sent %v before it arrives: %s, want %s", i, c.sent, got, c.want)
		}
		if newest := b.realtimeOf("inv-1"); !newest.Time.Equal(testNow.Add(-at)) {
			t.Errorf("batch %d: its sample is of %v", i, newest.Time)
		}
	}
	about, err := b.Store.About(t.Context(), "inv-1")
	if err != nil || about.SkewS == nil || !about.Edge.Time.IsZero() {
		t.Errorf("stored: %+v %+v, %v", about, about.Edge, err)
	}
}

func TestDevicesCome200AtATime(t *testing.T) {
	b := newBench(t)
	for i := range 7 {
		b.put(fmt.Sprintf("d%d", i), []wire.Sample{sample(time.Hour)})
	}
	var seen []string
	after := ""
	for pages := 0; ; pages++ {
		got := answered[devicesAnswer](b, "/v1/devices?limit=4&after="+after)
		for _, d := range got.Devices {
			seen = append(seen, d.ID)
		}
		if got.After == nil {
			if pages != 2 || fmt.Sprint(seen) != "[d0 d1 d2 d3 d4 d5 d6 inv-1 inv-2]" {
				t.Errorf("%d pages: %v", pages+1, seen)
			}
			return
		}
		after = *got.After
	}
}

// TestChainNamesTheFirstLinkThatIsDown, as far as a server can know.
func TestChainNamesTheFirstLinkThatIsDown(t *testing.T) {
	night := sample(0)
	night.PVPowerW, night.BatteryPowerW, night.BatterySOCPct = 15, nil, nil
	day := sample(0)
	dark := sample(0)
	dark.PVPowerW = 0 // but there is a battery
	for name, c := range map[string]struct {
		sample wire.Sample
		age    time.Duration
		heard  time.Duration // ago
		want   string
	}{
		"live":                         {day, 3 * time.Second, 3 * time.Second, "live: ok ok"},
		"late":                         {day, 40 * time.Second, 40 * time.Second, "delayed: slow slow"},
		"silent":                       {day, 2 * time.Hour, 2 * time.Hour, "offline: unknown down"},
		"old samples from a live edge": {day, 2 * time.Hour, 3 * time.Second, "offline: down ok"},
		"night":                        {night, 2 * time.Hour, 2 * time.Hour, "asleep: asleep unknown"},
		"just gone dark":               {night, 40 * time.Second, 40 * time.Second, "delayed: slow slow"},
		"longer than any night":        {night, 19 * time.Hour, 19 * time.Hour, "offline: unknown down"},
		"dark with a battery":          {dark, 2 * time.Hour, 2 * time.Hour, "offline: unknown down"},
	} {
		now := testNow
		c.sample.Time = now.Add(-c.age)
		about := store.About{Edge: &wire.Edge{Version: "1"}, Seen: now.Add(-c.heard)}
		state, _ := deviceinfo.StateOf(&c.sample, c.age, about.Edge)
		chain := chainOf(&c.sample, about, state, now)
		if got := fmt.Sprintf("%s: %s %s", state, chain[0].State, chain[1].State); got != c.want {
			t.Errorf("%s is %s, want %s", name, got, c.want)
		}
	}
}

func TestRealtimeSaysAsleep(t *testing.T) {
	b := newBench(t)
	b.put("inv-1", []wire.Sample{{Time: testNow.Add(-8 * time.Hour), PVPowerW: 4, PVDailyKWh: new(21.0), Count: 1}})
	if got := b.realtimeOf("inv-1"); got.State != "asleep" {
		t.Errorf("%s", got.State)
	}
}
