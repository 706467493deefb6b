package main

import (
	"strings"
	"testing"
	"time"

	"sunspool/edge/report"
	"sunspool/wire"
)

// A watched status draws the power of ten minutes: a space where nothing was seen, and nothing older.
func TestWatchedStatusDrawsThePower(t *testing.T) {
	now := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	pv := recentPV{}
	at := func(ago time.Duration, watts float64) {
		pv.add([]report.Health{{DeviceID: "roof", Sample: &wire.Sample{Time: now.Add(-ago), PVPowerW: watts}}, {DeviceID: "silent"}})
	}
	at(12*time.Minute, 9000)
	if _, ok := pv.line("roof", false); ok {
		t.Error("one mark is drawn")
	}
	at(60*time.Second, 1000)
	at(45*time.Second, 500)
	at(45*time.Second, 1500) // their mean is 1000
	at(15*time.Second, 0)
	at(0, 4000)
	for plain, want := range map[bool]string{false: "PV ▃▃ ▁█ up to 4.00 kW", true: "PV -- _# up to 4.00 kW"} {
		if c, ok := pv.line("roof", plain); !ok || c.What != want {
			t.Errorf("%v, %q, want %q", ok, c.What, want)
		}
	}
	for range 3600 {
		now = now.Add(time.Second)
		at(0, 100)
	}
	c, _ := pv.line("roof", false)
	if marks := strings.Count(c.What, "█"); marks != 40 || !strings.HasSuffix(c.What, "up to 0.10 kW") {
		t.Errorf("%d marks: %s", marks, c.What)
	}
	if _, ok := pv.line("silent", false); ok {
		t.Error("an edge without a sample is drawn")
	}
}
