package simulator

import (
	"math"
	"time"
)

// The flows of energy that are counted.
const (
	exportFromSun = iota
	chargeFromSun
	direct // PV used in the house, the inverter's heat included, so that the three parts are all of the PV
	charged
	discharged
	imported
	exported
	output // of the inverter's AC side
	flows
)

// state is what one day hands to the next.
type state struct {
	soc      float64        // %
	pack     float64        // °C of the battery
	heatsink float64        // °C of the inverter
	energy   [flows]float64 // Wh since commissioning
}

// minute is the home at the beginning of one minute.
type minute struct {
	sun                 [2]float64 // W that each array offers
	load                float64    // W
	air                 float64    // °C
	soc, pack, heatsink float64
	today               [flows]float64 // Wh since midnight
}

// day is one local day, lived through minute by minute: 1380, 1440 or 1500 minutes and the midnight that ends it.
type day struct {
	number  int
	start   time.Time
	dawn    state
	minutes []minute
	load    load
}

// live simulates a day into d, starting from the state in which the day before ended. The caller holds h.mu.
func (h *Home) live(d *day, number int) {
	d.number = number
	d.start = midnight(number, h.zone)
	length := int(midnight(number+1, h.zone).Sub(d.start) / time.Minute)
	d.minutes = append(d.minutes[:0], make([]minute, length+1)...)
	d.dawn = state{}
	born := number >= h.first
	if born {
		d.dawn = h.dawns[number-h.first]
	}
	h.forecast(d, born)

	now := d.dawn
	today := [flows]float64{}
	for i := range d.minutes {
		m := &d.minutes[i]
		m.soc, m.pack, m.heatsink, m.today = now.soc, now.pack, now.heatsink, today
		if i == length {
			break
		}
		next := &d.minutes[i+1]
		house := (m.load + next.load) / 2
		f := h.site.dispatch((m.sun[0]+m.sun[1]+next.sun[0]+next.sun[1])/2, house, now.soc, now.pack)
		if born {
			count(&today, f, house)
		}
		now.soc = h.site.battery.stored(now.soc, f.battery, 1.0/60)
		now.pack += (m.air + 2.5 + math.Abs(f.battery)/450 - now.pack) / 420
		now.heatsink += (0.6*m.air + 13 + (f.sun+math.Abs(f.battery))/h.site.rated*24 - now.heatsink) / 35
	}
	for i, wh := range today {
		now.energy[i] += wh
	}
	if number-h.first+1 == len(h.dawns) {
		h.dawns = append(h.dawns, now)
	}
}

// count adds one minute of f to the counters of the day.
func count(today *[flows]float64, f flow, house float64) {
	grid := f.ac - house // positive = to the grid
	fromSun := min(max(f.battery, 0), f.sun)
	toGrid := min(max(grid, 0), f.sun-fromSun)
	for i, watts := range [flows]float64{
		exportFromSun: toGrid,
		chargeFromSun: fromSun,
		direct:        f.sun - fromSun - toGrid,
		charged:       max(f.battery, 0),
		discharged:    max(-f.battery, 0),
		imported:      max(-grid, 0),
		exported:      max(grid, 0),
		output:        max(f.ac, 0),
	} {
		today[i] += watts / 60
	}
}

// forecast fills in what does not depend on the inverter: air, sun, and what the house draws. Before its commissioning
// a home has no modules yet.
func (h *Home) forecast(d *day, modules bool) {
	s := newSeason(d.start.In(h.zone).YearDay())
	weekday := time.Unix(int64(d.number)*86400, 0).UTC().Weekday()
	h.people.day(&d.load, d.number, weekday == time.Saturday || weekday == time.Sunday, s.winter)

	epoch := float64(d.start.Unix() / 60)
	dayUTC := epoch - float64(d.number)*1440 // minutes from 00:00 UTC of the same date to this midnight
	last := len(d.minutes) - 1
	warm := h.weather.mean(epoch, s.winter)
	warming := (h.weather.mean(epoch+float64(last), s.winter) - warm) / float64(last)
	clock := h.clock(d, last)
	var cover float64
	for i := range d.minutes {
		m, now := &d.minutes[i], epoch+float64(i)
		local := clock(i)
		m.load = d.load[local]
		m.sun = [2]float64{}
		if i%5 == 0 {
			cover = h.weather.cover(now, s.winter)
		}
		m.air = warm + warming*float64(i) + (2+3.5*(1-cover))*swing[local]
		if !modules {
			continue
		}
		k := s.sky(dayUTC + float64(i))
		if k.beam < 1 {
			continue
		}
		beam, veil := h.weather.clouds(now, cover)
		for a := range h.planes {
			m.sun[a] = h.planes[a].watts(k, beam, veil, m.air)
		}
	}
}

// clock returns a function from minutes since d's start to the minute that a clock on the wall shows: 02:59 is followed
// by 02:00 when summer ends.
func (h *Home) clock(d *day, last int) func(int) int {
	wall := func(t time.Time) int { return t.Hour()*60 + t.Minute() }
	first := wall(d.start)
	change, after := last+1, 0
	if _, end := d.start.ZoneBounds(); end.After(d.start) && end.Before(d.start.Add(time.Duration(last)*time.Minute)) {
		change = int(end.Sub(d.start) / time.Minute)
		after = wall(end) - change
	}
	return func(i int) int {
		if i >= change {
			return min(i+after, 1440)
		}
		return min(i+first, 1440)
	}
}
