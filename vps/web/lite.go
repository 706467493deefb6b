package web

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// Lite is what the page without scripts shows. What is not known is nil.
type Lite struct {
	Lang    string
	Open    bool // there is nobody to log out
	Devices []string
	Device  string

	State    string    // as of /v1/realtime, never without a sample, "" where the values cannot be read
	At       time.Time // of the newest sample, in the zone of the device
	PVW      *float64
	LoadW    *float64
	GridW    *float64 // > 0 from the grid
	BatteryW *float64 // > 0 charging
	SOCPct   *float64
	Rows     []LiteRow // today, yesterday, month
	Currency string    // of their money; "" without prices
	Curve    Curve
}

// LiteRow is the energy of a span, kWh.
type LiteRow struct {
	Span                       string // today, yesterday or month
	PV, Load, Import, Export   *float64
	SelfSufficiency, PVMissing *float64 // %, and the part of the span of which PV is not known

	Cost, Saved, Fee          *float64
	CostEstimated, SavedAbove bool // a part of the cost is an estimate; at least so much was saved
}

// row returns the one of a span.
func (l *Lite) row(span string) (r LiteRow) {
	for _, row := range l.Rows {
		if row.Span == span {
			return row
		}
	}
	return r
}

// number is one of the six.
type number struct{ name, value, means string }

// numbers are what a screen shows first. Those of a device that is offline are not shown: they are of some time ago.
func (l *Lite) numbers() []number {
	w, f := wordsOf(l.Lang), formatOf(l.Lang)
	if l.State == "offline" || l.State == "never" || l.State == "" {
		l = &Lite{Rows: l.Rows}
	}
	power := f.power(l.PVW, l.LoadW, l.GridW, l.BatteryW)
	all := []number{{w["solar"], power(l.PVW), ""}, {w["home"], power(l.LoadW), ""}}
	all = append(all, number{w["grid"], power(l.GridW), way(l.GridW, w["from_grid"], w["to_grid"], w["idle"])})
	all = append(all, number{w["battery"], power(l.BatteryW), way(l.BatteryW, w["charging"], w["discharging"], w["idle"])})
	return append(all, number{w["soc"], f.percent(l.SOCPct), ""}, number{w["solar_today"], f.energy(l.row("today").PV), ""})
}

// deadBand is the power below which nothing flows, W.
const deadBand = 25

func way(watts *float64, up, down, idle string) string {
	switch {
	case watts == nil:
		return ""
	case *watts >= deadBand:
		return up
	case *watts <= -deadBand:
		return down
	}
	return idle
}

// freshness is the state in words, and of when the numbers are.
func (l *Lite) freshness() string {
	w := wordsOf(l.Lang)
	switch l.State {
	case "":
		return w["unavailable"]
	case "never":
		return w["never"]
	}
	return w[l.State] + ", " + w["as_of"] + " " + l.At.Format("2006-01-02 15:04:05 MST")
}

// HTML returns the page.
func (l *Lite) HTML() []byte {
	w, f := wordsOf(l.Lang), formatOf(l.Lang)
	p := liteHead(l.Lang, "<meta http-equiv=\"refresh\" content=\"30\">\n")
	p.print("<p class=\"", text(l.State), "\" role=\"status\">", text(l.freshness()), "</p>\n<dl>\n")
	for _, n := range l.numbers() {
		p.print("<div><dt>", text(n.name), "</dt><dd>", text(n.value), "<small>", text(n.means), "</small></dd></div>\n")
	}
	p.print("</dl>\n")
	l.Curve.draw(p, w)
	for _, columns := range [][]column{energyColumns(w, f), l.moneyColumns(w, f)} {
		if len(columns) == 0 {
			continue
		}
		p.print("<table>\n<tr><td></td>")
		for _, c := range columns {
			p.print("<th scope=\"col\">", text(c.name), "</th>")
		}
		p.print("</tr>\n")
		for _, r := range l.Rows {
			p.print("<tr><th scope=\"row\">", text(w[r.Span]), "</th>")
			for _, c := range columns {
				p.print("<td data-of=\"", text(c.name), "\">", text(c.cell(r)), "</td>")
			}
			p.print("</tr>\n")
		}
		p.print("</table>\n")
	}
	if len(l.Devices) > 1 {
		p.print("<form action=\"lite\"><select name=\"device_id\">")
		for _, id := range l.Devices {
			selected := ""
			if id == l.Device {
				selected = " selected"
			}
			p.print("<option", selected, ">", text(id), "</option>")
		}
		p.print("</select> <button>", text(w["show"]), "</button></form>\n")
	}
	if !l.Open {
		p.print("<form method=\"post\" action=\"lite\"><button name=\"logout\" value=\"1\">", text(w["logout"]), "</button></form>\n")
	}
	p.print("<p><a href=\"./\">", text(w["full"]), "</a></p>\n</html>\n")
	return p.Bytes()
}

// column is one of a table: its cell of a row.
type column struct {
	name string
	cell func(LiteRow) string
}

func energyColumns(w map[string]string, f format) []column {
	return []column{
		{w["solar"], func(r LiteRow) string {
			return certain("≥ ", r.PV != nil && r.PVMissing != nil && *r.PVMissing > 0.02, f.energy(r.PV))
		}},
		{w["used"], func(r LiteRow) string { return f.energy(r.Load) }},
		{w["imported"], func(r LiteRow) string { return f.energy(r.Import) }},
		{w["exported"], func(r LiteRow) string { return f.energy(r.Export) }},
		{w["own"], func(r LiteRow) string { return f.percent(r.SelfSufficiency) }},
	}
}

// moneyColumns are those that have something; none without prices.
func (l *Lite) moneyColumns(w map[string]string, f format) (all []column) {
	if l.Currency == "" {
		return nil
	}
	money := func(name string, of func(LiteRow) *float64, cell func(LiteRow) string) {
		if slices.ContainsFunc(l.Rows, func(r LiteRow) bool { return of(r) != nil }) {
			all = append(all, column{w[name] + " (" + l.Currency + ")", cell})
		}
	}
	money("cost", func(r LiteRow) *float64 { return r.Cost }, func(r LiteRow) string {
		return certain("≈ ", r.Cost != nil && r.CostEstimated, f.money(r.Cost))
	})
	money("saved", func(r LiteRow) *float64 { return r.Saved }, func(r LiteRow) string {
		return certain("≥ ", r.Saved != nil && r.SavedAbove, f.money(r.Saved))
	})
	money("fee", func(r LiteRow) *float64 { return r.Fee }, func(r LiteRow) string { return f.money(r.Fee) })
	return all
}

// certain is a value, behind sign if that is true of it.
func certain(sign string, is bool, value string) string {
	if is {
		return sign + value
	}
	return value
}

// Text returns the page for a terminal.
func (l *Lite) Text() []byte {
	w, f := wordsOf(l.Lang), formatOf(l.Lang)
	p := new(printer)
	p.print(strings.TrimPrefix(l.Device+": ", ": "), l.freshness(), "\n")
	for _, n := range l.numbers() {
		p.print(padded(n.name, 20), n.value)
		if n.means != "" {
			p.print(" ", n.means)
		}
		p.print("\n")
	}
	for _, columns := range [][]column{energyColumns(w, f), l.moneyColumns(w, f)} {
		if len(l.Rows) == 0 || len(columns) == 0 {
			continue
		}
		p.print("\n", padded("", 14))
		for _, c := range columns {
			p.print(padded(c.name, c.width()))
		}
		p.print("\n")
		for _, r := range l.Rows {
			p.print(padded(w[r.Span], 14))
			for _, c := range columns {
				p.print(padded(c.cell(r), c.width()))
			}
			p.print("\n")
		}
	}
	lines := strings.Split(strings.ReplaceAll(string(p.Bytes()), nbsp, " "), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return []byte(strings.Join(lines, "\n"))
}

// width is how many characters a column has in a terminal.
func (c column) width() int { return max(14, len([]rune(c.name))+2) }

func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(1, width-len([]rune(s))))
}

// LiteLogin returns the page that asks for a token; problem is a key of words, or "".
func LiteLogin(lang, problem string) []byte {
	w := wordsOf(lang)
	p := liteHead(lang, "")
	if problem != "" {
		p.print("<p role=\"alert\">", text(w[problem]), "</p>\n")
	}
	p.print("<form method=\"post\" action=\"lite\">\n<label>", text(w["token"]),
		" <input name=\"token\" type=\"password\" autocomplete=\"off\" required autofocus></label>\n<button>", text(w["login"]), "</button>\n</form>\n</html>\n")
	return p.Bytes()
}

func liteHead(lang, more string) *printer {
	p := new(printer)
	p.print("<!doctype html>\n<html lang=\"", text(lang), "\">\n<meta charset=\"utf-8\">\n",
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n", more,
		"<title>sunspool</title>\n<style>", liteStyle, "</style>\n<h1>sunspool</h1>\n")
	return p
}

// liteStyle is understood by browsers of ten years ago.
const liteStyle = `
html { font: 1.1em/1.4 system-ui, -apple-system, sans-serif; color: #1B1F27; background: #FFFFFF; }
body { max-width: 44em; margin: 1em auto; padding: 0 1em; }
h1 { font-size: 1.2em; }
dl { overflow: hidden; margin: 0; }
dl div { float: left; width: 33%; min-width: 8em; margin: 0 0 1em; }
dt { color: #5A6472; }
dd { margin: 0; font-size: 1.5em; font-weight: 600; }
dd small { display: block; min-height: 1.4em; font-size: 0.6em; font-weight: 400; color: #5A6472; }
.stale, .offline, .delayed { font-weight: 600; color: #B3261A; }
svg { width: 100%; max-width: 38em; height: auto; }
.key { margin: 0; }
.key b { color: #EBB020; }
.key i { font-style: normal; }
table { width: 100%; border-collapse: collapse; margin: 1em 0; }
th, td { padding: 0.3em 0.5em 0.3em 0; border-bottom: 1px solid #DDE3EA; text-align: right; font-weight: 400; }
th[scope=row] { text-align: left; }
@media (max-width: 34em) {
dl div { width: 50%; }
dt { font-size: 0.9em; }
tr, td, th { display: block; }
tr:first-child { display: none; }
th[scope=row] { padding-top: 1em; font-weight: 600; }
td { padding-right: 0; }
td:before { content: attr(data-of); float: left; color: #5A6472; }
}
button, select, input { font: inherit; min-height: 44px; }
a { color: #3A3EC2; }
@media (prefers-color-scheme: dark) {
html { color: #E8EDF3; background: #0B0F14; }
dt, dd small, td:before { color: #98A4B3; }
.stale, .offline, .delayed { color: #FF7B7F; }
th, td { border-color: #26303B; }
a { color: #93A6FF; }
}
`

var liteStyleSum = func() string {
	sum := sha256.Sum256([]byte(liteStyle))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}()
