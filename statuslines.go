package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"sunspool/edge/report"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/vps"
	"sunspool/wire"
)

// stillToday is how old a sample may be whose energy is that of today: one of an inverter that sleeps may be of yesterday.
const stillToday = 5 * time.Minute

// stillNow is how old a sample may be that shows what is measured now, unless polls are far apart.
const stillNow = time.Minute

// edgeLines are how an edge is, link by link, and what the inverter measures. today, which may be nil, is what the vps has of it.
func edgeLines(h report.Health, today *vps.Today, now time.Time) []checklist.Check {
	name := "edge"
	if h.DeviceID != "" {
		name += " " + h.DeviceID
	}
	if h.Version == "" { // it does not answer
		return []checklist.Check{{Area: name, State: checklist.Fail, What: h.Sentence}}
	}
	lines := []checklist.Check{{Area: "edge", State: checklist.OK, What: fmt.Sprintf("%s, sunspool %s, up %s", h.DeviceID, h.Version, health.Span(time.Duration(h.UptimeS*float64(time.Second))))}}
	for _, link := range h.Links {
		lines = append(lines, linkLine(h, link, now))
	}
	if s := h.Sample; s != nil {
		measured := checklist.Check{Area: "now", State: checklist.OK, What: powers(s)}
		if !isNow(h, now) {
			measured.Area, measured.What = "last", measured.What+", "+ago(s.Time, now)
		}
		lines = append(lines, measured)
		if energies(today) == "" && s.PVDailyKWh != nil && now.Sub(s.Time) < stillToday {
			today = &vps.Today{PV: s.PVDailyKWh}
		}
	}
	if text := energies(today); text != "" {
		lines = append(lines, checklist.Check{Area: "today", State: checklist.OK, What: text})
	}
	return lines
}

// isNow reports whether the last sample of an edge shows what is measured now.
func isNow(h report.Health, now time.Time) bool {
	return h.Sample != nil && now.Sub(h.Sample.Time) <= max(stillNow, 3*time.Duration(h.PollS*float64(time.Second)))
}

// linkLine is how one link of an edge is.
func linkLine(h report.Health, link health.Status, now time.Time) checklist.Check {
	c := checklist.Check{Area: link.Name, State: checklist.OK}
	switch link.State {
	case health.Broken:
		c.State, c.What, c.Next, c.Code = checklist.Fail, fmt.Sprintf("broken for %s: %s", health.Span(now.Sub(link.Since)), link.LastError), link.Next, link.Code
		return c
	case health.Resting:
		c.What = "resting for " + health.Span(now.Sub(link.Since))
		return c
	case health.Unknown:
		c.State, c.What = checklist.Skip, "nothing has happened yet"
		return c
	}
	switch link.Name {
	case "inverter":
		c.What = strings.TrimSpace(h.Model + " " + h.Serial)
		if h.LastPoll != nil {
			c.What += ", read " + ago(*h.LastPoll, now)
		}
	case "spool":
		room := "its room"
		if limit := h.Counts["spool_limit_bytes"]; limit > 0 {
			room = fmt.Sprintf("%.0f MB", float64(limit)/1e6)
		}
		c.What = fmt.Sprintf("%d waiting, %.1f %% of %s used", h.SpoolCount, h.SpoolShare, room)
		if kept, counted := h.Counts["kept_samples"]; counted {
			c.What += fmt.Sprintf(", %d copies kept", kept)
		}
		if h.Quarantined > 0 {
			c.State, c.What, c.Next = checklist.Warn, c.What+fmt.Sprintf(", %d in quarantine", h.Quarantined), "sunspool spool quarantine"
		}
	case "vps":
		c.Area, c.What = "upload", "nothing was delivered yet"
		if h.LastUpload != nil {
			c.What = "last batch " + ago(*h.LastUpload, now)
		}
	case "clock":
		c.What = h.Clock
		if h.Held > 0 {
			c.What += fmt.Sprintf(", %d samples wait until the time is known", h.Held)
		}
	default:
		c.What = "ok"
	}
	return c
}

// vpsLines are how the vps is, and each device. The energies of those that have an edge here are not said twice.
func vpsLines(s *vps.Status, hasEdge func(device string) bool) []checklist.Check {
	first := checklist.Check{Area: "vps", State: checklist.OK, What: fmt.Sprintf("sunspool %s, devices: %d", s.Version, len(s.Devices))}
	if !s.Ready {
		first.State, first.What = checklist.Fail, "samples cannot be stored: "+s.Why
	}
	lines := []checklist.Check{first}
	for _, d := range s.Devices {
		c := checklist.Check{Area: d.ID, State: checklist.OK, What: d.State}
		if d.AgeS != nil {
			c.What += ", newest sample " + health.Span(time.Duration(*d.AgeS*float64(time.Second))) + " old"
		}
		if text := energies(d.Today); text != "" && !hasEdge(d.ID) {
			c.What += "; today " + text
		}
		if d.State != "live" && d.State != "asleep" {
			c.State = checklist.Warn
		}
		lines = append(lines, c)
	}
	return lines
}

// powers are what the last sample measured.
func powers(s *wire.Sample) string {
	parts := []string{"PV " + kilowatts(s.PVPowerW)}
	if s.LoadPowerW != nil {
		parts = append(parts, "home "+kilowatts(*s.LoadPowerW))
	}
	if s.BatteryPowerW != nil {
		text := "battery " + fmt.Sprintf("%+.2f kW", *s.BatteryPowerW/1000)
		if s.BatterySOCPct != nil {
			text += fmt.Sprintf(" (%.0f %%)", *s.BatterySOCPct)
		}
		parts = append(parts, text)
	}
	if s.ExportPowerW != nil {
		word := "export "
		if *s.ExportPowerW < 0 {
			word = "import "
		}
		parts = append(parts, word+kilowatts(math.Abs(*s.ExportPowerW)))
	}
	return strings.Join(parts, " · ")
}

// energies are those of today that are known.
func energies(t *vps.Today) string {
	if t == nil {
		return ""
	}
	var parts []string
	for _, e := range []struct {
		word string
		kwh  *float64
	}{{"PV", t.PV}, {"home", t.Load}, {"import", t.Import}, {"export", t.Export}} {
		if e.kwh != nil {
			parts = append(parts, fmt.Sprintf("%s %.1f kWh", e.word, *e.kwh))
		}
	}
	return strings.Join(parts, " · ")
}

func kilowatts(watts float64) string { return fmt.Sprintf("%.2f kW", watts/1000) }

// ago is how long ago something was, for people.
func ago(t, now time.Time) string { return health.Span(now.Sub(t)) + " ago" }
