package energytest

import (
	"fmt"
	"math"
	"slices"

	"sunspool/vps/energy"
	"sunspool/wire"
)

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
	loose      [][2]int64
	vague      []vague
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
			c.replaceIfClear(replaced)
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

func whole(v float64) bool { return v == math.Trunc(v) }

// show lets the counter show what is right in [from, to).
func (c *counting) show(from, to int) {
	for i := from; i < to; i++ {
		c.values[i] = c.reading(c.base + c.made(i))
		c.wrong[i] = c.values[i] == 0 // is no reading
	}
}

// swing is how many digits are more than a trembling one can go up and down.
const swing = 3

// beside is how many readings next to an event are right, without a hole: nearer together what happened cannot be known. Real
// counters do this once in days.
const beside = 12

// clear reports whether there is no hole between readings from and to, and the powers that the counter counts are known.
func (c *counting) clear(from, to int) bool {
	for i := max(1, from); i <= to; i++ {
		if i >= len(c.times) || c.times[i]-c.times[i-1] > c.longest() || c.blind(i) {
			return false
		}
	}
	return true
}

// blind reports whether the sample i has no power of what the counter counts.
func (c *counting) blind(i int) bool {
	s := &c.Samples[i]
	switch counted[c.k] {
	case energy.Import, energy.Export:
		return s.ExportPowerW == nil
	case energy.Charge, energy.Discharge:
		return s.BatteryPowerW == nil
	}
	return false
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
		return c.fallIfClear(i, c.base+c.made(i), "reset to 0")
	case 11:
		return c.fallIfClear(i, c.depth(i), "lower from here")
	}
	end := min(n, i+length)
	switch {
	case what == low, what == frozen:
		// Across a hole a dip may be a reset; after one, a stale reading is a counter that stood, and then jumped.
		if !c.clear(i-beside, end+beside) {
			return i
		}
	case what == high && !c.clear(i, end+beside): // what comes after it decides
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
	if what == high { // and more than the digits that tremble, in the reading after it too
		spike = max(spike, swing*c.resolution+c.made(to)-c.made(from)+c.resolution)
	}
	still, back := r.IntN(2) == 0, 1+r.IntN(40)
	if c.upwards { // below a digit that trembles up
		depth = max(depth, 2*swing*c.resolution)
	}
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
	for i := from; i < to && c.resolution < 1 && (what == low || what == high); i++ {
		if whole(c.values[i]) && c.values[i] > 0 { // between two of whole kWh it could be a counter that has no others
			c.values[i] = c.reading(c.values[i] - c.resolution)
		}
	}
	c.blur(what, from, to)
	words := map[int]string{silent: "null", zero: "0", low: "dip", frozen: "stale", high: "spike", trembling: "trembles"}[what]
	c.note(fmt.Sprintf("%s %v (%v before)", words, c.values[from], c.values[from-1]), c.k, c.times[from], c.times[to-1])
}

// blur notes what the wrong readings of [from, to) hide.
func (c *counting) blur(what, from, to int) {
	switch {
	case what == high:
		before, rises := c.times[from-1], c.caughtUp(from-1, from)
		if soon := c.caughtUp(from, to); soon <= c.times[to+beside] {
			rises = soon
		}
		c.vague = append(c.vague, vague{before, c.times[to], c.made(to) - c.made(from-1)}, vague{before, rises, c.resolution})
	case what == low && c.values[from-1]-c.values[from] <= (swing-0.5)*c.resolution: // as if it trembled
		c.loose = append(c.loose, [2]int64{c.times[from], c.times[to-1]})
	case what == trembling:
		c.loose = append(c.loose, [2]int64{c.times[from], c.times[to-1]})
		if c.upwards {
			c.shaken = append(c.shaken, [2]int64{c.times[from], c.caughtUp(from, to)})
		}
	}
}

// caughtUp returns when the counter really shows what it showed too much in [from, to): until then a reader knows it a
// digit too high.
func (c *counting) caughtUp(from, to int) int64 {
	high := slices.Max(c.values[from:to])
	for i := to; i < len(c.times); i++ {
		if c.reading(c.base+c.made(i)) > high {
			return c.times[i]
		}
	}
	return math.MaxInt64
}

// depth returns by how much the counter is less at i, by more than digits tremble.
func (c *counting) depth(i int) float64 {
	now := c.base + c.made(i)
	return min(max(now*c.r.Float64(), c.leastFall()), now)
}

// leastFall is more than digits tremble.
func (c *counting) leastFall() float64 { return max(2.5, 2*swing*c.resolution) }

// fallIfClear is fall, unless there is a hole before the new level stays, or it is soon half as high again: then it can be a
// dip as well.
func (c *counting) fallIfClear(i int, depth float64, what string) int {
	if depth < c.leastFall() || !c.clear(i-beside, i-1) {
		return i
	}
	shows := i
	for shows < len(c.times) && c.reading(c.base-depth+c.made(shows)) == 0 {
		shows++
	}
	if shows < len(c.times) && (!c.clear(shows+1, shows+beside) || c.made(shows+beside)-c.made(i-1) > depth/2) {
		return i
	}
	return c.fall(i, depth, what)
}

// fall takes depth off the counter from i on, and returns when it shows something again.
func (c *counting) fall(i int, depth float64, what string) int {
	n, from := len(c.times), i
	c.base -= depth
	c.note(fmt.Sprintf("%s, %.1f kWh", what, depth), c.k, c.times[i], c.times[i])
	for i < n && c.reading(c.base+c.made(i)) == 0 {
		i++
	}
	c.show(from, i)
	sure := i
	for sure < n && (sure < i+12 || c.times[sure] < c.times[i]+12*minute) {
		sure++
	}
	c.next(from, i)
	if sure == n || c.made(sure)-c.made(from-1) > 0.8*depth { // what is above the old level again was only a dip
		c.next(i, sure)
	}
	return i
}

// next makes what is from there on another counter than before, and what is in [from, to) nothing that is known of it.
func (c *counting) next(from, to int) {
	c.breaks = append(c.breaks, from)
	if from < len(c.times) {
		c.loose = append(c.loose, [2]int64{c.times[from-1], c.times[from]})
	}
	for i := from; i < to; i++ {
		c.unsure[i] = true
	}
}

// replaceIfClear is replace, unless too little was read before or after it to know that.
func (c *counting) replaceIfClear(i int) {
	if slices.Contains(c.values[max(i-beside, 0):i], 0) {
		return
	}
	if c.clear(i-beside, i-1) && c.clear(i+1, i+beside) {
		c.replace(i)
	}
}

// replace makes it the counter of another inverter from i on.
func (c *counting) replace(i int) {
	if c.r.IntN(2) == 0 {
		c.fallIfClear(i, c.depth(i), "replaced by a lower one")
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
