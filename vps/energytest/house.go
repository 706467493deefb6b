// Package energytest makes random histories of houses whose energy is known exactly, and holds answers about them against
// it. It is for tests alone. Its arithmetic is its own: nothing of what it judges is used.
//
//	House ──> History ──samples──> a store ──> Ask ──answers──> History.Check ──> faults
//	  └────────truth, bounds────────────────────────────────────────┘
//
// A fault is an answer that is wrong by what can be known: where a counter was replaced, or nothing was read for hours
// across a border, there are bounds instead of one right number.
package energytest

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"sunspool/vps/energy"
)

const minute = int64(60_000) // ms

// Powers are what a house does at an instant, W. Load is what is behind the meter without the inverter: another
// generator there takes it down, below 0 too.
type Powers struct{ PV, Load, Battery, Export, Other float64 }

// House is a house whose powers stand still within a minute, so that its energies are exact.
type House struct {
	Zone    *time.Location
	Border  time.Time // of two months, in the middle of its days
	Battery bool
	Other   bool // there is another generator behind its meter

	start  int64   // ms
	rated  float64 // W, of its inverter
	powers []Powers
	sums   [][energy.Energies]float64 // kWh until that minute
}

// houseDays are on either side of the border.
const houseDays = 4

// borders are of months; clocks are changed in the days around some, and some are of years.
var borders = []struct {
	zone    string
	y, m, d int
}{
	{"Europe/Brussels", 2026, 2, 1}, {"Europe/Brussels", 2026, 1, 1}, {"Europe/Brussels", 2026, 7, 1}, {"Europe/Brussels", 2026, 4, 1},
	{"Europe/Brussels", 2026, 5, 1}, {"Europe/Berlin", 2026, 9, 1}, {"America/New_York", 2025, 11, 1}, {"Asia/Kolkata", 2026, 6, 1},
	{"Asia/Kathmandu", 2026, 1, 1}, {"Australia/Adelaide", 2026, 4, 1}, {"UTC", 2026, 3, 1}, {"Pacific/Auckland", 2025, 10, 1},
}

// NewHouse returns a random house.
func NewHouse(seed uint64) *House {
	r := rand.New(rand.NewPCG(seed, 11))
	at := borders[seed%uint64(len(borders))]
	zone, err := time.LoadLocation(at.zone)
	if err != nil {
		panic(err) // the zones are part of Go or of the system
	}
	h := &House{Zone: zone, Border: time.Date(at.y, time.Month(at.m), at.d, 0, 0, 0, 0, zone), Battery: r.IntN(4) > 0, Other: r.IntN(6) == 0}
	h.start = h.Border.AddDate(0, 0, -houseDays).UnixMilli()
	n := int((h.Border.AddDate(0, 0, houseDays).UnixMilli() - h.start) / minute)
	h.powers, h.sums = make([]Powers, n), make([][energy.Energies]float64, n+1)
	wave := func(shortest, longest float64) func(hours float64) float64 {
		length, phase := shortest+r.Float64()*(longest-shortest), r.Float64()*2*math.Pi
		return func(hours float64) float64 { return math.Sin(hours/length*2*math.Pi + phase) }
	}
	clouds, slow, quick := wave(3, 7), wave(6, 10), wave(2.5, 5)
	peak, base, limit, room := 2000+r.Float64()*8000, 300+r.Float64()*1200, 1000+r.Float64()*3000, 3000+r.Float64()*9000
	soc := 0.5
	for i := range n {
		hours := float64(i)/60 + 0.5/60
		sun := math.Pow(max(0, math.Sin((math.Mod(hours, 24)-6)/12*math.Pi)), 1.3)
		p := Powers{PV: peak * sun * (0.65 + 0.35*clouds(hours)), Load: base * (1.2 + 0.6*slow(hours) + 0.35*quick(hours))}
		if h.Other {
			p.Other = 0.6 * peak * sun
			p.Load -= p.Other
		}
		if h.Battery {
			p.Battery = max(-limit*min(1, max(0, soc-0.1)/0.15), min(limit*min(1, max(0, 0.98-soc)/0.15), p.PV-p.Load))
			soc += p.Battery / 60 / room
		}
		p.Export = p.PV - p.Load - p.Battery
		h.powers[i] = p
		h.rated = max(h.rated, p.PV, math.Abs(p.Load), math.Abs(p.Battery), math.Abs(p.Export))
		h.sums[i+1] = h.sums[i]
		for e, w := range p.flows() {
			h.sums[i+1][e] += w / 60_000
		}
	}
	h.rated = math.Ceil(h.rated/1000) * 1000
	return h
}

// flows are the powers by what they are called in answers, W.
func (p Powers) flows() (f [energy.Energies]float64) {
	in, out := max(-p.Export, 0), max(p.Export, 0)
	charge, discharge := max(p.Battery, 0), max(-p.Battery, 0)
	f[energy.PV], f[energy.Load], f[energy.Import], f[energy.Export] = p.PV, p.Load, in, out
	f[energy.Charge], f[energy.Discharge] = charge, discharge
	f[energy.Other] = max(-p.Load, 0)
	house, sun, stored := max(p.Load, 0), p.PV, discharge
	take := func(from, to *float64) float64 {
		v := min(*from, *to)
		*from -= v
		*to -= v
		return v
	}
	f[energy.SolarHome], f[energy.SolarBattery] = take(&sun, &house), take(&sun, &charge)
	f[energy.BatteryHome] = take(&stored, &house)
	f[energy.SolarGrid], f[energy.BatteryGrid] = take(&sun, &out), take(&stored, &out)
	f[energy.GridHome], f[energy.GridBattery] = take(&in, &house), take(&in, &charge)
	return f
}

func (h *House) minute(ms int64) int {
	return int(min(max((ms-h.start)/minute, 0), int64(len(h.powers)-1)))
}

// at returns the powers at a time.
func (h *House) at(ms int64) Powers { return h.powers[h.minute(ms)] }

// since returns the energy e since the house began, kWh.
func (h *House) since(e int, ms int64) float64 {
	if ms <= h.start {
		return 0
	}
	i := min((ms-h.start)/minute, int64(len(h.powers)))
	part := float64(ms-h.start-i*minute) / float64(minute)
	if i == int64(len(h.powers)) {
		return h.sums[i][e]
	}
	return h.sums[i][e] + part*(h.sums[i+1][e]-h.sums[i][e])
}

// kWh returns the energy e in [from, to) ms.
func (h *House) kWh(e int, from, to int64) float64 { return h.since(e, to) - h.since(e, from) }

// mean returns the mean powers of [from, to) ms.
func (h *House) mean(from, to int64) (p Powers) {
	watts := func(e int) float64 { return h.kWh(e, from, to) * 3.6e9 / float64(to-from) }
	p = Powers{PV: watts(energy.PV), Load: watts(energy.Load)}
	p.Battery, p.Export = watts(energy.Charge)-watts(energy.Discharge), watts(energy.Export)-watts(energy.Import)
	return p
}

// starts returns the local periods that touch [from, to), and the end of the last.
func starts(resolution string, from, to time.Time, zone *time.Location) (all []time.Time) {
	from, to = from.In(zone), to.In(zone)
	y, m, d := from.Date()
	add := func(i int) time.Time { return time.Date(y, m, d+i, 0, 0, 0, 0, zone) }
	switch resolution {
	case "hour":
		_, offset := from.Zone()
		into := (from.Unix() + int64(offset)) % 3600
		add = func(i int) time.Time { return time.Unix(from.Unix()-into+int64(i)*3600, 0).In(zone) }
	case "month":
		add = func(i int) time.Time { return time.Date(y, m+time.Month(i), 1, 0, 0, 0, 0, zone) }
	case "year":
		add = func(i int) time.Time { return time.Date(y+i, 1, 1, 0, 0, 0, 0, zone) }
	}
	for i := 0; ; i++ {
		all = append(all, add(i))
		if !all[i].Before(to) {
			return all
		}
	}
}

func search(all []int64, ms int64) int {
	return sort.Search(len(all), func(i int) bool { return all[i] > ms })
}
