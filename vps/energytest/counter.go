package energytest

import (
	"fmt"
	"math"

	"sunspool/wire"
)

// counter is what can be known of a lifetime counter by its right readings.
type counter struct {
	present   bool
	at        []int64    // of right readings, ascending, and where the house begins and ends; ms
	kwh       []float64  // what the house had really made then
	known     []bool     // what it made since the right reading before can be known
	near      []bool     // there is no reading in between that is wrong
	digit     float64    // kWh
	tolerance float64    // kWh, of a difference
	shaken    [][2]int64 // when the last digit went up too much
}

// bounds returns between what the energy of counter k in [from, to) may be said to be. Where it is known they are some
// hundredths of a kWh apart; slack is to be added on both sides.
func (g *History) bounds(k int, from, to int64) (least, most, slack float64) {
	c := &g.counters[k]
	slack = c.tolerance
	for i := max(1, search(c.at, from)); i < len(c.at) && c.at[i-1] < to; i++ {
		a, b := c.at[i-1], c.at[i]
		rise := c.kwh[i] - c.kwh[i-1]
		whole := a >= from && b <= to
		truth := g.House.kWh(counted[k], max(a, from), min(b, to))
		switch {
		case !c.known[i] && (i == 1 || i == len(c.at)-1): // before and after all readings: by what was integrated, if that
			most += truth * 1.02
		case !c.known[i]:
			most += rise
			slack += c.tolerance
		case whole:
			least += rise
			most += rise
		case c.near[i] && b-a <= 35*minute:
			linear := rise * float64(min(b, to)-max(a, from)) / float64(b-a)
			least += min(linear, truth)
			most += max(linear, truth)
		default:
			most += rise
		}
	}
	for _, w := range c.shaken {
		if w[0] < to && w[1] >= from {
			slack += c.tolerance
		}
	}
	return least, most, slack
}

// how a reading can be wrong.
const (
	right = iota
	silent
	zero
	low    // by a depth
	frozen // as it was some readings ago
	high
	trembling
)

// counting makes the readings of one counter.
type counting struct {
	*History
	k          int
	resolution float64
	base       float64   // what the counter shows more than the house made
	values     []float64 // NaN for none
	wrong      []bool    // not what the counter really was at
	unsure     []bool    // or not surely
	breaks     []int     // where another counter is shown, after a reset or a replacement
	shaken     [][2]int64
}

// count makes the readings of counter k. At the index replaced, if it is not negative, there is another inverter.
func (g *History) count(k, replaced int) {
	n := len(g.times)
	c := &counting{History: g, k: k, resolution: 0.1, values: make([]float64, n), wrong: make([]bool, n), unsure: make([]bool, n)}
	if k == 0 && g.r.IntN(6) == 0 {
		c.resolution = 1
	}
	c.base = []float64{0, 5, 300, 20_000}[g.r.IntN(4)] * (0.5 + g.r.Float64())
	quiet := max(25, int(25*minute/g.Interval.Milliseconds()))
	eventful := g.r.IntN(4) > 0
	for i := 0; i < n; {
		next := min(n, i+quiet+g.r.IntN(2*quiet))
		if !eventful {
			next = n
		}
		if replaced >= i && replaced < n && next > replaced-quiet { // nothing else happens around it
			c.show(i, replaced)
			c.replace(replaced)
			next = min(n, replaced+quiet)
			i, replaced = replaced, -1
		}
		c.show(i, next)
		i = next
		if i < n && eventful {
			i = c.event(i)
		}
	}
	c.enter()
	g.counters[k] = c.knowledge()
}

func (c *counting) made(i int) float64 { return c.House.since(counted[c.k], c.times[i]) }

func (c *counting) reading(kwh float64) float64 {
	return math.Round(math.Floor(kwh/c.resolution+1e-6)*c.resolution*10) / 10
}

// show lets the counter show what is right in [from, to).
func (c *counting) show(from, to int) {
	for i := from; i < to; i++ {
		c.values[i] = c.reading(c.base + c.made(i))
		c.wrong[i] = c.values[i] == 0 // is no reading
	}
}

// event makes something happen at i and returns where it is over.
func (c *counting) event(i int) int {
	n, r := len(c.times), c.r
	if c.reading(c.base+c.made(i)) < 5*c.resolution { // a counter that shows nothing yet: nothing can be known beside it
		return i
	}
	short := 1 + r.IntN(8) // readings
	if c.twice() {
		short = 1 + r.IntN(4)
	}
	if r.IntN(2) == 0 && !c.twice() { // many readings, but not for long
		short = max(short, int(8*minute/c.Interval.Milliseconds()))
	}
	long := 1 + r.IntN(40)
	what, length := right, 0
	switch r.IntN(12) {
	case 0, 1:
		what, length = trembling, 10+r.IntN(100)
	case 2, 3, 4:
		what, length = low, short
	case 5:
		what, length = frozen, 1
	case 6, 7:
		what, length = high, 1
	case 8:
		what, length = zero, long
	case 9:
		what, length = silent, long
	case 10:
		c.fall(i, c.base+c.made(i), "reset to 0")
		return i
	case 11:
		c.fall(i, (c.base+c.made(i))*r.Float64(), "lower from here")
		return i
	}
	end := min(n, i+length)
	if what == high && end == n {
		return i
	}
	c.spoil(what, i, end)
	return end
}

// spoil makes the readings of [from, to) wrong in a way.
func (c *counting) spoil(what, from, to int) {
	r := c.r
	depth := []float64{0.2, 3, 200, 1e6}[r.IntN(4)] * (0.5 + r.Float64())
	spike := []float64{2, 50, 6553.5, 429496729.5}[r.IntN(4)] * (0.5 + r.Float64())
	still, back := r.IntN(2) == 0, 1+r.IntN(40)
	bottom := c.values[from-1] - max(depth, c.resolution)
	if bottom <= 0 {
		bottom = (c.base + c.made(from)) * r.Float64()
	}
	c.show(from, to)
	for i := from; i < to; i++ {
		c.wrong[i] = true
		switch what {
		case silent:
			c.values[i] = math.NaN()
		case zero:
			c.values[i] = 0
		case low:
			c.values[i] = c.reading(bottom)
			if !still { // and less than before all the time
				c.values[i] = min(c.reading(bottom+c.made(i)-c.made(from)), c.values[from-1]-c.resolution)
			}
		case frozen:
			c.values[i] = c.values[max(i-back, 0)]
		case high:
			c.values[i] = c.reading(c.values[i] + spike)
		case trembling:
			step := float64(r.IntN(2))
			if i%6 == 0 { // what stays low is another level
				step = 0
			}
			if c.upwards {
				step = float64(r.IntN(3)) - 1
			}
			c.wrong[i] = step != 0
			c.values[i] = max(0, math.Round((c.values[i]-step*c.resolution)*10)/10)
		}
	}
	if what == trembling && c.upwards {
		c.shaken = append(c.shaken, [2]int64{c.times[from], c.times[to-1]})
	}
	words := map[int]string{silent: "null", zero: "0", low: "dip", frozen: "stale", high: "spike", trembling: "trembles"}[what]
	c.note(fmt.Sprintf("%s %v (%v before)", words, c.values[from], c.values[from-1]), c.k, c.times[from], c.times[to-1])
}

// fall takes depth off the counter from i on.
func (c *counting) fall(i int, depth float64, what string) {
	n, from := len(c.times), i
	c.base -= depth
	c.note(fmt.Sprintf("%s, %.1f kWh", what, depth), c.k, c.times[i], c.times[i])
	for i < n && c.reading(c.base+c.made(i)) == 0 {
		i++
	}
	sure := i
	for sure < n && (sure < i+12 || c.times[sure] < c.times[i]+12*minute) {
		sure++
	}
	c.next(from, i)
	if sure == n || c.made(sure)-c.made(from-1) > 0.8*depth { // what is above the old level again was only a dip
		c.next(i, sure)
	}
}

// next makes what is from there on another counter than before, and what is in [from, to) nothing that is known of it.
func (c *counting) next(from, to int) {
	c.breaks = append(c.breaks, from)
	for i := from; i < to; i++ {
		c.unsure[i] = true
	}
}

// replace makes it the counter of another inverter from i on.
func (c *counting) replace(i int) {
	now := c.base + c.made(i)
	if c.r.IntN(2) == 0 {
		c.fall(i, now*c.r.Float64(), "replaced by a lower one")
		return
	}
	last := i - 1
	for last > 0 && !(c.values[last] > 0) {
		last--
	}
	hours := float64(c.times[i]-c.times[last]) / 3.6e6
	rise := (10 + 3*c.House.rated/1000*(hours+1)) * (1 + 10*c.r.Float64())
	c.base += rise
	c.note(fmt.Sprintf("replaced by one that is %.1f kWh higher", rise), c.k, c.times[i], c.times[i])
	c.next(i, i)
	if len(c.times)-i < 25 {
		c.next(i, len(c.times))
	}
}

// replacement returns the index of the sample that comes from another inverter, or -1.
func (g *History) replacement() int {
	if g.r.IntN(6) > 0 {
		return -1
	}
	i := len(g.times)/4 + g.r.IntN(len(g.times)/2)
	if g.r.IntN(2) == 0 { // after a hole, if there is one
		for k := 25; k < len(g.times)-25; k++ {
			if g.times[k]-g.times[k-1] > 10*g.Interval.Milliseconds() {
				i = k
			}
		}
	}
	return i
}

// enter writes the readings into the samples.
func (c *counting) enter() {
	field := [5]func(s *wire.Sample, v *float64){
		func(s *wire.Sample, v *float64) { s.PVTotalKWh = v }, func(s *wire.Sample, v *float64) { s.ImportTotalKWh = v },
		func(s *wire.Sample, v *float64) { s.ExportTotalKWh = v }, func(s *wire.Sample, v *float64) { s.ChargeTotalKWh = v },
		func(s *wire.Sample, v *float64) { s.DischargeTotalKWh = v },
	}[c.k]
	for i := range c.values {
		if c.values[i] == c.values[i] {
			field(&c.Samples[i], &c.values[i])
		}
	}
}

// knowledge gathers what the right readings let one know.
func (c *counting) knowledge() counter {
	all := counter{present: true, digit: c.resolution, tolerance: c.resolution + 0.0501, shaken: c.shaken}
	add := func(at int64, kwh float64, known, near bool) {
		all.at, all.kwh = append(all.at, at), append(all.kwh, kwh)
		all.known, all.near = append(all.known, known), append(all.near, near)
	}
	add(c.House.start, 0, false, false)
	last := -1
	for i, at := range c.times {
		if c.wrong[i] || c.unsure[i] {
			continue
		}
		known := last >= 0
		for _, b := range c.breaks {
			known = known && !(b > last && b <= i)
		}
		if known { // unless it rose faster than this inverter could
			hours := float64(at-c.times[last]) / 3.6e6
			known = c.made(i)-c.made(last) <= 0.15+1.4*c.greatest[i]/1000*hours
		}
		add(at, c.made(i), known, last == i-1)
		last = i
	}
	end := c.House.start + int64(len(c.House.powers))*minute
	add(end, c.House.since(counted[c.k], end), false, false)
	return all
}
