package energytest

// counter is what can be known of a lifetime counter by its right readings.
type counter struct {
	present   bool
	at        []int64    // of right readings, ascending, and where the house begins and ends; ms
	kwh       []float64  // what the house had really made then
	known     []bool     // what it made since the right reading before can be known
	near      []bool     // there is no wrong reading in between, and the powers of then are known
	digit     float64    // kWh
	tolerance float64    // kWh, of a difference
	shaken    [][2]int64 // when the last digit went up too much
	loose     [][2]int64 // when it trembled, or the counter was reset
	vague     []vague    // what is known less of borders
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
	return least, most, slack + c.atBorders(from, to)
}

// vague is how much less is known of a border in a time, kWh: beside a reading that is too high nobody knows how much of
// what is right was made before it, nor when the last digit rose.
type vague struct {
	from, to int64
	kwh      float64
}

// atBorders returns how much less is known of the borders of [from, to).
func (c *counter) atBorders(from, to int64) (kwh float64) {
	for _, v := range c.vague {
		for _, border := range [...]int64{from, to} {
			if v.from < border && border <= v.to {
				kwh += v.kwh
			}
		}
	}
	return kwh
}

// knowledge gathers what the right readings let one know.
func (c *counting) knowledge() counter {
	all := counter{present: true, digit: c.resolution, tolerance: c.resolution + 0.0501, shaken: c.shaken, loose: c.loose, vague: c.vague}
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
		add(at, c.made(i), known, last == i-1 && !c.blind(i) && (i == 0 || !c.blind(i-1)))
		last = i
	}
	end := c.House.start + int64(len(c.House.powers))*minute
	add(end, c.House.since(counted[c.k], end), false, false)
	return all
}
