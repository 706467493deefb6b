package web

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// Numbers have as many digits as say something, also at the edges; a little is not nothing, almost all is not all, and what is
// not known is no number.
func TestNumbersAreWrittenAsTheyAreRead(t *testing.T) {
	en, de := formatOf("en"), formatOf("de")
	watts := func(f format, all ...float64) string {
		var group []*float64
		for _, v := range all {
			group = append(group, &v)
		}
		return f.power(group...)(group[0])
	}
	for got, want := range map[string]string{
		watts(en, 0): "0 W", watts(en, 24.9): "0 W", watts(en, -24.9): "0 W", watts(en, 25): "25 W", watts(en, -999): "999 W",
		watts(en, 1000): "1.00 kW", watts(en, -2254): "2.25 kW", watts(en, 9994): "9.99 kW", watts(en, 9995): "10.0 kW", watts(en, 123_456): "123.5 kW",
		watts(en, 740, 4510): "0.74 kW", watts(en, 10, 4510): "0.00 kW", watts(de, 4510): "4,51 kW",
		en.energy(new(0.0)): "0.00 kWh", en.energy(new(9.994)): "9.99 kWh", en.energy(new(9.995)): "10.0 kWh", en.energy(new(999.94)): "999.9 kWh",
		en.energy(new(999.95)): "1000 kWh", en.energy(new(9999.4)): "9999 kWh", en.energy(new(9999.5)): "10.00 MWh", de.energy(new(1.5)): "1,50 kWh",
		en.percent(new(0.0)): "0 %", en.percent(new(0.49)): "< 1 %", en.percent(new(0.5)): "1 %", en.percent(new(99.4)): "99 %", en.percent(new(99.94)): "99 %",
		en.percent(new(99.95)): "100 %", en.percent(new(100.0)): "100 %",
		en.energy(nil): "–", de.percent(nil): "–", en.power(nil)(nil): "–",
	} {
		if strings.ReplaceAll(got, nbsp, " ") != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if nbsp != "\u00a0" || !strings.Contains(watts(en, 100), nbsp) {
		t.Error("a line may end between a number and its unit")
	}
}

// Directions are words: those of the grid and of the battery, with nothing between them.
func TestDirectionsAreWords(t *testing.T) {
	for watts, want := range map[float64]string{-5000: "out", -25: "out", -24: "idle", 0: "idle", 24: "idle", 25: "in", 5000: "in"} {
		if got := way(&watts, "in", "out", "idle"); got != want {
			t.Errorf("%v W: %s", watts, got)
		}
	}
	if way(nil, "in", "out", "idle") != "" {
		t.Error("what is not known has a direction")
	}
}

// A gap is not drawn, nothing is where nothing is known, and no number is one that SVG does not have.
func TestTheCurveHasItsGaps(t *testing.T) {
	draw := func(c Curve) string {
		p := new(printer)
		c.draw(p, map[string]string{"curve": "Power <today>"})
		return string(p.Bytes())
	}
	c := Curve{Zone: time.UTC, From: 0, To: 86400, Times: []int64{0, 300, 600, 900, 1200}, PV: []*float64{new(1.0), new(2.0), nil, new(3.0), new(-4.0)}, Load: []*float64{nil, new(1.0), nil, nil}}
	svg := draw(c)
	if areas, lines := strings.Count(svg, `fill="#EBB020"`), strings.Count(svg, `stroke="currentColor"`); areas != 2 || lines != 1 {
		t.Errorf("%d areas and %d lines:\n%s", areas, lines, svg)
	}
	if !strings.Contains(svg, "<title>Power &lt;today&gt;</title>") {
		t.Error(svg)
	}
	c.Load = append(c.Load, new(1e15)) // the most that is stored
	if huge := draw(c); strings.Contains(huge, "NaN") || strings.Contains(huge, "Inf") || strings.Contains(huge, "e+") || strings.Count(huge, " kW</text>") > 7 {
		t.Errorf("%d bytes, %.2000s", len(huge), huge)
	}
	for name, none := range map[string]Curve{"no zone": {From: 0, To: 1}, "no time": {Zone: time.UTC, From: 5, To: 5}, "backwards": {Zone: time.UTC, From: 5, To: 1}} {
		if svg := draw(none); svg != "" {
			t.Errorf("%s: %s", name, svg)
		}
	}
}

// What a policy allows is all that the page needs, and no more; the style of the page without scripts is the one that its policy
// names.
func TestPoliciesAllowNoMore(t *testing.T) {
	const want = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html"
	if got := Policy(nil); got != want {
		t.Errorf("%s", got)
	}
	for name, page := range map[string][]byte{"lite": (&Lite{Lang: "en"}).HTML(), "login": LiteLogin("de", "wrong")} {
		_, style, _ := strings.Cut(string(page), "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		sum := sha256.Sum256([]byte(style))
		if got, want := LitePolicy(nil), "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// The text for a terminal has what the page has; without a device it begins with what is known.
func TestTextOfThePage(t *testing.T) {
	l := Lite{Lang: "nl", Device: "roof", State: "live", At: time.Date(2026, 6, 21, 12, 30, 0, 0, time.UTC), PVW: new(1500.0), Rows: []LiteRow{
		{Span: "today", PV: new(5.0), PVMissing: new(0.03)}, {Span: "yesterday", PV: new(7.0), PVMissing: new(0.02)}}}
	text := string(l.Text())
	for _, want := range []string{"roof: Live, stand van 2026-06-21 12:30:00 UTC\n", "Zon                 1,50 kW\n", "Vandaag       ≥ 5,00 kWh ", "Gisteren      7,00 kWh "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q:\n%s", want, text)
		}
	}
	if text := string((&Lite{Lang: "en", State: "never"}).Text()); !strings.HasPrefix(text, "No inverter has reported yet\n") {
		t.Error(text)
	}
}
