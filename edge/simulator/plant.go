package simulator

import (
	"iter"
	"math"
	"time"

	"sunspool/wire"
)

// Plant is the home as its inverter measures it at one instant: whole watts, tenths of everything else. Its parts add
// up exactly: PVPower = BatteryPower + ACPower + heat, ACPower = LoadPower + ExportPower, and PV energy is the sum of
// where it went.
type Plant struct {
	Time       time.Time
	Hybrid     bool
	HasBattery bool
	HasMeter   bool // without it nothing is known of house and grid: LoadPower is ACPower, ExportPower is 0

	PVPower      float64 // W, DC
	ACPower      float64 // W; > 0 delivered by the inverter, < 0 its own need
	LoadPower    float64 // W
	ExportPower  float64 // W; > 0 to the grid, < 0 from it
	BatteryPower float64 // W; > 0 charging, < 0 discharging
	Curtailed    bool    // the sun offers more than the inverter can deliver

	Strings    [2]String  // what hangs on each MPPT
	GridVolts  [3]float64 // by phase; phases that the model does not have are 0
	GridAmps   [3]float64 // of the inverter, with the sign of ACPower
	MeterPower [3]float64 // W; > 0 bought, the sign of the meter
	Frequency  float64    // Hz

	BatterySOC   float64 // %
	BatteryVolts float64
	BatteryAmps  float64 // > 0 charging
	BatteryTemp  float64 // °C
	InverterTemp float64 // °C
	AirTemp      float64 // °C

	Today Energy // since local midnight
	Total Energy // since commissioning
}

// String is one input of the inverter.
type String struct{ Volts, Amps, Watts float64 }

// Energy is a set of counters, in kWh. PV = ExportFromPV + ChargeFromPV + Direct.
type Energy struct {
	PV, ExportFromPV, ChargeFromPV, Direct float64
	Charge, Discharge                      float64
	Import, Export                         float64
	Output                                 float64 // of the AC side, PV and battery
}

// At returns the home at t. It costs a microsecond within the two days asked for last, a millisecond within another,
// and the whole life before t once.
func (h *Home) At(t time.Time) Plant {
	return h.plant(h.day(civil(t.In(h.zone)), nil), t)
}

// History yields the home at from and every step after it, before to.
func (h *Home) History(from, to time.Time, step time.Duration) iter.Seq[Plant] {
	return func(yield func(Plant) bool) {
		var d day
		var end time.Time
		for t := from; t.Before(to); t = t.Add(step) {
			if !t.Before(end) {
				number := civil(t.In(h.zone))
				h.day(number, &d)
				end = midnight(number+1, h.zone)
			}
			if !yield(h.plant(&d, t)) {
				return
			}
		}
	}
}

// plant is the home at t, which is in d: between two minutes, with the small unrest that a real house has.
func (h *Home) plant(d *day, t time.Time) Plant {
	since := t.Sub(d.start)
	i := int(since / time.Minute)
	part := float64(since%time.Minute) / float64(time.Minute)
	a, b := &d.minutes[i], &d.minutes[i+1]
	between := func(a, b float64) float64 { return a + (b-a)*part }
	second := float64(t.UnixMilli()) / 1000
	unrest := func(what uint64, seconds float64) float64 { return 2*noise(h.seed+what, second/seconds) - 1 }

	var sun [2]float64
	for n := range sun {
		sun[n] = between(a.sun[n], b.sun[n]) * (1 + 0.004*unrest(uint64(n), 7))
	}
	offered := sun[0] + sun[1]
	house := between(a.load, b.load) * (1 + 0.012*unrest(2, 9))
	follow := 7 * unrest(3, 5) // W by which the battery misses the house
	soc, pack := between(a.soc, b.soc), between(a.pack, b.pack)
	f := h.site.dispatch(offered, house+follow, soc, pack)

	p := Plant{
		Time:         t,
		Hybrid:       h.site.hybrid,
		HasBattery:   h.site.battery.capacity > 0,
		HasMeter:     h.site.meter,
		PVPower:      whole(f.sun),
		ACPower:      whole(f.ac),
		BatteryPower: whole(f.battery),
		Curtailed:    f.curtailed,
		Frequency:    math.Round(5000+2.5*unrest(4, 45)) / 100,
		InverterTemp: tenth(between(a.heatsink, b.heatsink)),
		AirTemp:      tenth(between(a.air, b.air)),
	}
	p.LoadPower = p.ACPower
	if p.HasMeter {
		p.ExportPower = whole(f.ac - house)
		p.LoadPower -= p.ExportPower
	}
	if p.HasBattery {
		p.BatterySOC = tenth(soc)
		p.BatteryTemp = tenth(pack)
		volts := h.site.battery.volts*(0.955+0.0009*soc) + 0.0006*p.BatteryPower
		p.BatteryVolts = tenth(volts)
		p.BatteryAmps = tenth(p.BatteryPower / volts)
	}
	if p.PVPower > 0 {
		p.Strings[0].Watts = whole(p.PVPower * sun[0] / offered)
		p.Strings[1].Watts = p.PVPower - p.Strings[0].Watts
	}
	for n := range p.Strings {
		if s := &p.Strings[n]; s.Watts > 0 {
			volts := h.site.open * (0.8 + 0.02*unrest(5+uint64(n), 60) - 0.002*(p.AirTemp-15))
			s.Volts, s.Amps = tenth(volts), tenth(s.Watts/volts)
		}
	}
	h.phases(&p, unrest)

	var today, total [flows]float64
	for n := range today {
		today[n] = between(a.today[n], b.today[n])
		total[n] = d.dawn.energy[n] + today[n]
	}
	p.Today, p.Total = energy(today, p.HasMeter), energy(total, p.HasMeter)
	return p
}

// phases shares the inverter evenly, and the house as it was wired, among the phases.
func (h *Home) phases(p *Plant, unrest func(uint64, float64) float64) {
	if h.site.phases == 1 {
		p.GridVolts[0] = tenth(233 + 2.5*unrest(7, 400) + p.ExportPower/1500)
		p.GridAmps[0] = tenth(p.ACPower / p.GridVolts[0])
		p.MeterPower[0] = -p.ExportPower
		return
	}
	wired := [3]float64{0.46, 0.33, 0.21}
	for n := range p.GridVolts {
		p.GridVolts[n] = tenth(232.5 + 2.5*unrest(7+uint64(n), 400) + p.ExportPower/3000)
		p.GridAmps[n] = tenth(p.ACPower / 3 / p.GridVolts[n])
		if p.HasMeter {
			p.MeterPower[n] = whole(wired[n]*p.LoadPower - p.ACPower/3)
		}
	}
	p.MeterPower[2] = -p.ExportPower - p.MeterPower[0] - p.MeterPower[1]
}

// energy reads counters of Wh as the inverter shows them. Each part is cut to 0.1 kWh before it enters the sum, so that
// the sum is exact.
func energy(wh [flows]float64, meter bool) Energy {
	tenths := func(n int) float64 { return math.Floor(wh[n]/100 + 1e-9) }
	sold, stored, used := tenths(exportFromSun), tenths(chargeFromSun), tenths(direct)
	e := Energy{
		PV:           (sold + stored + used) / 10,
		ExportFromPV: sold / 10,
		ChargeFromPV: stored / 10,
		Direct:       used / 10,
		Charge:       tenths(charged) / 10,
		Discharge:    tenths(discharged) / 10,
		Import:       tenths(imported) / 10,
		Export:       tenths(exported) / 10,
		Output:       tenths(output) / 10,
	}
	if !meter { // what is not stored was used, as far as the inverter can tell
		e.ExportFromPV, e.Direct, e.Import, e.Export = 0, (sold+used)/10, 0, 0
	}
	return e
}

// whole and tenth round as the instruments do. No instrument shows a negative zero.
func whole(v float64) float64 { return math.Round(v) + 0 }
func tenth(v float64) float64 { return whole(v*10) / 10 }

// Sleeping returns p as a string inverter shows itself when there is no sun: no voltage and no power anywhere, while
// the counters keep what they were, today's included.
func (p Plant) Sleeping() Plant {
	p.PVPower, p.ACPower, p.LoadPower, p.ExportPower, p.BatteryPower, p.BatteryAmps = 0, 0, 0, 0, 0, 0
	p.Strings, p.GridVolts, p.GridAmps, p.MeterPower = [2]String{}, [3]float64{}, [3]float64{}, [3]float64{}
	p.Frequency, p.Curtailed = 0, false
	return p
}

// Sample returns p as an edge would send it, but for the registers in Values: what the inverter cannot know is nil, and
// so is a counter that has not counted yet.
func (p *Plant) Sample(deviceID string) wire.Sample {
	counter := func(kWh float64) *float64 {
		if kWh == 0 {
			return nil
		}
		return &kWh
	}
	s := wire.Sample{DeviceID: deviceID, Time: p.Time.UTC().Truncate(time.Millisecond), PVPowerW: p.PVPower, Count: 1}
	if p.Hybrid {
		s.PVDailyKWh, s.PVTotalKWh = new(p.Today.PV), counter(p.Total.PV)
		s.DirectTotalKWh = counter(p.Total.Direct)
	} else { // counts on its AC side
		s.PVDailyKWh, s.PVTotalKWh = new(p.Today.Output), counter(p.Total.Output)
	}
	if p.HasMeter {
		s.LoadPowerW, s.ExportPowerW = new(p.LoadPower), new(p.ExportPower)
		s.ImportTotalKWh, s.ExportTotalKWh = counter(p.Total.Import), counter(p.Total.Export)
	}
	if p.HasBattery {
		s.BatteryPowerW, s.BatterySOCPct, s.BatteryTempC = new(p.BatteryPower), new(p.BatterySOC), new(p.BatteryTemp)
		s.ChargeTotalKWh, s.DischargeTotalKWh = counter(p.Total.Charge), counter(p.Total.Discharge)
	}
	return s
}
