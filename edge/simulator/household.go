package simulator

import "math/rand/v2"

// household is the people and the appliances of one house.
type household struct {
	seed    uint64
	standby float64 // W, always
	habit   float64 // 0.85 thrifty .. 1.25 generous
}

func newHousehold(seed uint64) household {
	return household{
		seed:    mix(seed ^ 0x5851F42D4C957F2D),
		standby: 90 + 70*random(seed, 1),
		habit:   0.85 + 0.4*random(seed, 2),
	}
}

// load is what a house draws in W, by local minute of one day. The last value is that of the next midnight.
type load [1441]float64

// run adds an appliance: watts for some minutes. What runs past midnight is cut; people sleep.
func (l *load) run(start, minutes int, watts float64) {
	for m := max(start, 0); m < min(start+minutes, len(l)-20); m++ {
		l[m] += watts
	}
}

// cycle adds an appliance with a thermostat: on of every period minutes.
func (l *load) cycle(start, minutes, on, period int, watts float64) {
	for m := start; m < start+minutes; m += period {
		l.run(m, min(on, start+minutes-m), watts)
	}
}

// day fills l with the household's consumption of one day, counted from 1970-01-01.
func (h *household) day(l *load, day int, weekend bool, winter float64) {
	r := rand.New(rand.NewPCG(h.seed, uint64(day)))
	around := func(hour, spread float64) int { return int(60 * (hour + spread*(2*r.Float64()-1))) }
	chance := func(p float64) bool { return r.Float64() < p }

	base := h.standby + 55*winter // the heating's pump
	for m := range l {
		l[m] = base
	}
	fridge := int(h.seed % 38) // not by day: the fridge does not know midnight
	for m := fridge - 38; m < len(l); m += 38 {
		for n := max(m, 0); n < min(m+14, len(l)); n++ {
			l[n] += 85
		}
	}

	rise := around(6.7, 0.5)
	if weekend {
		rise = around(8.4, 0.8)
	}
	l.run(rise, 90, h.habit*(60+120*winter)) // lights, radio, bathroom
	l.run(rise+12, 3, 2100)                  // kettle
	l.run(rise+19, 4, 900)                   // toaster
	l.run(rise+24, 2, 1300)                  // coffee
	if chance(0.6) {
		l.run(rise+33, 6, 1500) // hair dryer
	}

	home := weekend || chance(0.4)
	if home {
		l.run(rise+90, 17*60+30-rise-90, h.habit*115) // a desk, music
		l.cycle(around(12.2, 0.4), 28, 6, 9, h.habit*1500)
	}
	for range 1 + r.IntN(3) {
		l.run(around(14, 4), 3, 2000)
	}
	if chance(0.22*h.habit) || weekend && chance(0.3) {
		wash := around(11, 1.5)
		l.run(wash+4, 14, 2050)
		l.run(wash+18, 50, 220)
		if chance(0.4 + 0.3*winter) {
			l.cycle(wash+75, 70, 12, 14, 950) // dryer
		}
	}

	dinner := around(18.2, 0.6)
	l.cycle(dinner, 38, 7, 10, h.habit*2300)
	if chance(0.35) {
		l.cycle(dinner+5, 50, 4, 7, 2400) // oven
	}
	l.run(dinner-30, around(22.7, 0.5)-dinner+30, h.habit*(170+170*winter)) // lights, television
	if chance(0.6) {
		wash := max(dinner+50, around(20.1, 0.4)) // dishes
		l.run(wash+5, 15, 2000)
		l.run(wash+20, 35, 60)
		l.run(wash+55, 13, 2000)
	}
}
