package energytest

import (
	"fmt"
	"math"
	"time"

	"sunspool/vps/energy"
)

// Answer has one entry per period in each of its columns, by the names of GET /v1/energy; what is not known is NaN.
type Answer struct {
	From    []int64 // unix seconds
	Columns map[string][]float64
}

// Ask asks for the energy of the hours, days, months or years of [from, to).
type Ask func(resolution string, from, to time.Time) Answer

// Names are those of the energies in answers.
var Names = [energy.Energies]string{
	energy.PV: "pv_kwh", energy.Load: "load_kwh", energy.Import: "import_kwh", energy.Export: "export_kwh",
	energy.Charge: "charge_kwh", energy.Discharge: "discharge_kwh",
	energy.SolarHome: "solar_home_kwh", energy.SolarBattery: "solar_battery_kwh", energy.SolarGrid: "solar_grid_kwh",
	energy.BatteryHome: "battery_home_kwh", energy.BatteryGrid: "battery_grid_kwh",
	energy.GridHome: "grid_home_kwh", energy.GridBattery: "grid_battery_kwh", energy.Unaccounted: "unaccounted_kwh",
	energy.Other: "other_generation_kwh",
}

// Fault is an answer that is wrong.
type Fault struct{ Kind, What string }

// Kinds of faults.
const (
	Counted    = "counter"    // what a counter shows is outside of its bounds
	Integrated = "integrated" // power times time is not that
	Sums       = "sums"       // the parts of a span are not the whole
	Ratio      = "ratio"
	Parts      = "parts" // an energy is negative, or a part is more than its whole
	Coverage   = "coverage"
)

// mostFaults of each kind are enough to understand a history.
const mostFaults = 8

// check is a check of one history.
type check struct {
	*History
	ask    Ask
	faults []Fault
	many   map[string]int // faults of each kind
}

// Check asks all that there is to ask of a history and returns what is wrong.
func (g *History) Check(ask Ask) []Fault {
	c := &check{History: g, ask: ask}
	from, to := g.From.Add(-g.Interval), g.To.Add(g.Interval) // as long as samples may speak
	hours, days := c.table("hour", from, to), c.table("day", from, to)
	months, years := c.table("month", from, to), c.table("year", from, to)
	for _, t := range []*table{hours, days, months, years} {
		c.counters(t)
		c.parts(t)
		c.integrals(t)
		c.ratios(t)
		c.coverage(t)
	}
	c.sums("the hours", hours, "the day", days)
	c.sums("the days", days, "the month", months)
	c.sums("the days, asked one by one,", c.oneByOne(days), "the month", months)
	c.sums("the months, asked one by one,", c.oneByOne(months), "the year", years)
	if g.Seed%4 == 0 {
		c.sums("two parts of the hours", c.cut(hours), "the day", days)
	} else {
		c.sums("two parts of the days", c.cut(days), "the month", months)
	}
	return c.faults
}

func (c *check) fault(kind, format string, args ...any) {
	if c.many == nil {
		c.many = map[string]int{}
	}
	if c.many[kind]++; c.many[kind] <= mostFaults {
		c.faults = append(c.faults, Fault{kind, fmt.Sprintf(format, args...)})
	}
}

// table is an answer with the periods that it should have.
type table struct {
	resolution string
	starts     []time.Time // and the end of the last
	Answer
}

func (c *check) table(resolution string, from, to time.Time) *table {
	t := &table{resolution: resolution, starts: starts(resolution, from, to, c.House.Zone), Answer: c.ask(resolution, from, to)}
	if len(t.From) != len(t.starts)-1 {
		c.fault(Sums, "%d rows of %ss, want %d", len(t.From), resolution, len(t.starts)-1)
		t.starts = t.starts[:1]
	}
	for i := range t.starts[1:] {
		if t.From[i] != t.starts[i].Unix() {
			c.fault(Sums, "%s %d starts at %v, want %v", resolution, i, time.Unix(t.From[i], 0).In(c.House.Zone), t.starts[i])
		}
	}
	return t
}

func (t *table) rows() int { return len(t.starts) - 1 }
func (t *table) span(row int) (from, to int64) {
	return t.starts[row].UnixMilli(), t.starts[row+1].UnixMilli()
}
func (t *table) name(row int) string {
	return t.resolution + " " + t.starts[row].Format("2006-01-02T15:04")
}
func (t *table) kwh(energy, row int) float64 { return t.value(Names[energy], row) }
func (t *table) value(n string, row int) float64 {
	if column := t.Columns[n]; row < len(column) {
		return column[row]
	}
	return math.NaN()
}

// counters holds what is counted between its bounds.
func (c *check) counters(t *table) {
	for _, k := range c.counted() {
		for row := range t.rows() {
			from, to := t.span(row)
			least, most, slack := c.bounds(k, from, to)
			slack = c.slack(t, k, slack)
			got := t.kwh(counted[k], row)
			if math.IsNaN(got) {
				if most-least < 0.1 && least > 0.3 {
					c.fault(Counted, "%s: %s is null, really %.3f", t.name(row), Names[counted[k]], least)
				}
				continue
			}
			if got < least-slack || got > most+slack {
				c.fault(Counted, "%s: %s is %.3f, can be known to be %.3f to %.3f (to %.2f)", t.name(row), Names[counted[k]], got, least, most, slack)
			}
		}
	}
}

// slack is that of a row of t: of an hour, a digit at either border.
func (c *check) slack(t *table, k int, slack float64) float64 {
	if t.resolution == "hour" {
		slack += c.History.counters[k].digit
	}
	return slack
}

// counted are the counters that there are.
func (c *check) counted() (all []int) {
	for k := range c.History.counters {
		if c.History.counters[k].present {
			all = append(all, k)
		}
	}
	return all
}

// oneByOne asks for each row by itself.
func (c *check) oneByOne(t *table) *table {
	one := &table{resolution: t.resolution, starts: t.starts, Answer: Answer{Columns: map[string][]float64{}}}
	for row := range t.rows() {
		c.join(one, c.table(t.resolution, t.starts[row], t.starts[row+1]))
	}
	return one
}

// cut asks for the rows in two parts.
func (c *check) cut(t *table) *table {
	two := &table{resolution: t.resolution, starts: t.starts, Answer: Answer{Columns: map[string][]float64{}}}
	if t.rows() == 0 {
		return two
	}
	at := c.r.IntN(t.rows())
	if at > 0 {
		c.join(two, c.table(t.resolution, t.starts[0], t.starts[at]))
	}
	c.join(two, c.table(t.resolution, t.starts[at], t.starts[t.rows()]))
	return two
}

func (c *check) join(to, more *table) {
	to.From = append(to.From, more.From...)
	for name, column := range more.Columns {
		to.Columns[name] = append(to.Columns[name], column...)
	}
}

// sums compares the sums of rows with those of longer ones.
func (c *check) sums(what string, short *table, than string, long *table) {
	for e, name := range Names {
		row := 0
		for i := range long.rows() {
			sum, some := 0.0, false
			for ; row < short.rows() && short.starts[row].Before(long.starts[i+1]); row++ {
				if v := short.kwh(e, row); v == v && !short.starts[row].Before(long.starts[i]) {
					sum, some = sum+v, true
				}
			}
			got := long.kwh(e, i)
			spare := 0.1 + c.loose(e, long.starts[i].UnixMilli(), long.starts[i+1].UnixMilli())
			if long.starts[i+1].After(c.To) {
				spare += 0.01 // nobody waits for the digit that the counter does not show at the end
			}
			if some != (got == got) && sum > 0.1 || math.Abs(sum-got) > spare {
				c.fault(Sums, "%s of %s: %s are %.3f, %s is %.3f", name, long.name(i), what, sum, than, got)
			}
		}
	}
}

// loose is what may be found in a span or beside it: a digit where the counter of e trembles or is reset, and what nobody
// knows of its borders.
func (c *check) loose(e int, from, to int64) (kwh float64) {
	k, ok := energyCounter(e)
	if !ok {
		return 0
	}
	counter := &c.History.counters[k]
	kwh = counter.atBorders(from, to)
	for _, w := range counter.loose {
		if w[0] < to && w[1] >= from {
			return kwh + counter.digit
		}
	}
	return kwh
}

// String is a line.
func (f Fault) String() string { return "\n    " + f.Kind + ": " + f.What }
