package simulator

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Commissioned is the day on which a Home's counters start from zero, unless its HomeOptions say otherwise.
var Commissioned = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// HomeOptions describe a Home. The zero value is an SH10RT in Brussels with battery and meter.
type HomeOptions struct {
	Model     string         // SH10RT, SH4.0RS or SG5.0RS
	Seed      uint64         // of weather, people and appliances
	Zone      *time.Location // where days begin and people get up; Europe/Brussels if nil
	Since     time.Time      // first day of its life; Commissioned if zero
	NoBattery bool
	NoMeter   bool // the inverter does not know what the house draws
}

// Home is a house with an inverter, from its commissioning to any future. Everything in it follows from its HomeOptions and
// the time asked for: two Homes with equal HomeOptions agree at every instant. Its methods may be called from any goroutine.
type Home struct {
	site    site
	planes  [2]plane
	people  household
	weather weather
	zone    *time.Location
	first   int // day of commissioning
	seed    uint64

	mu     sync.Mutex
	dawns  []state // at the beginning of each day since the first; grows on demand
	recent [2]*day // that At asked for
}

// Models are the names that Options.Model takes, the default first.
func Models() (names []string) {
	for _, s := range sites {
		names = append(names, s.model)
	}
	return names
}

// NewHome builds a home. It fails on a model that is not simulated.
func NewHome(o HomeOptions) (*Home, error) {
	zone := o.Zone
	if zone == nil {
		var err error
		if zone, err = time.LoadLocation("Europe/Brussels"); err != nil {
			return nil, err
		}
	}
	if o.Since.IsZero() {
		o.Since = Commissioned
	}
	for _, s := range sites {
		if o.Model != "" && !strings.EqualFold(o.Model, s.model) {
			continue
		}
		if o.NoBattery {
			s.battery = pack{}
		}
		s.meter = !o.NoMeter
		h := &Home{
			site:    s,
			planes:  [2]plane{s.arrays[0].plane(), s.arrays[1].plane()},
			people:  newHousehold(mix(o.Seed + 1)),
			weather: newWeather(o.Seed),
			zone:    zone,
			first:   civil(o.Since.In(zone)),
			seed:    mix(o.Seed + 2),
		}
		h.dawns = []state{{soc: 40 * min(1, s.battery.capacity), pack: 8, heatsink: 15}}
		return h, nil
	}
	return nil, fmt.Errorf("model %q is not simulated: choose one of %s", o.Model, strings.Join(Models(), ", "))
}

// civil numbers t's local date, counted from 1970-01-01.
func civil(t time.Time) int {
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// midnight returns the first instant of a local day. Some zones skip the hour after midnight, some have it twice, and
// time.Date does not promise which one it means.
func midnight(number int, zone *time.Location) time.Time {
	y, m, d := time.Unix(int64(number)*86400, 0).UTC().Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	for civil(t) < number {
		t = t.Add(30 * time.Minute)
	}
	for earlier := t.Add(-30 * time.Minute); civil(earlier) == number; earlier = t.Add(-30 * time.Minute) {
		t = earlier
	}
	return t
}

// day returns the simulated day with this number. It lives in scratch if that is given, else in memory of its own that
// nobody changes any more. Asking for a day lives through all days before it, once.
func (h *Home) day(number int, scratch *day) *day {
	h.mu.Lock()
	defer h.mu.Unlock()
	if scratch == nil {
		for _, d := range h.recent {
			if d != nil && d.number == number {
				return d
			}
		}
	}
	var past day
	for h.first+len(h.dawns) <= number {
		d := scratch
		if d == nil {
			d = &past
		}
		h.live(d, h.first+len(h.dawns)-1)
	}
	d := scratch
	if d == nil {
		d = new(day)
		h.recent[0], h.recent[1] = d, h.recent[0]
	}
	h.live(d, number)
	return d
}
