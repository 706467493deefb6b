package simulator

import "math"

// site is what is screwed to the roof and to the wall.
type site struct {
	model    string
	hybrid   bool
	phases   int
	arrays   [2]array // one for each MPPT
	rated    float64  // W, AC
	standby  float64  // W that the inverter itself draws
	sunLoss  float64  // part of the PV power that the inverter turns into heat
	packLoss float64  // part of the battery's power
	open     float64  // V of a string in full sun
	battery  pack
	meter    bool
	serial   string // digits are filled with the seed
}

// pack is a battery; the zero pack is none.
type pack struct {
	capacity float64 // kWh
	power    float64 // W, in and out
	volts    float64 // at half charge
}

// sites are the models that are simulated.
var sites = []site{
	{
		model: "SH10RT", hybrid: true, phases: 3, meter: true, serial: "A22",
		arrays: [2]array{{5200, 160, 38}, {4400, 235, 38}},
		rated:  10000, standby: 24, sunLoss: 0.014, packLoss: 0.016, open: 420,
		battery: pack{9.6, 5760, 201.6},
	},
	{
		model: "SH4.0RS", hybrid: true, phases: 1, meter: true, serial: "A23",
		arrays: [2]array{{2500, 165, 35}, {2300, 195, 35}},
		rated:  4000, standby: 17, sunLoss: 0.017, packLoss: 0.018, open: 325,
		battery: pack{9.6, 5760, 201.6},
	},
	{
		model: "SG5.0RS", phases: 1, meter: true, serial: "A21",
		arrays: [2]array{{3000, 170, 35}, {2500, 190, 35}},
		rated:  5000, standby: 9, sunLoss: 0.022, open: 340,
	},
}

// Limits of the battery's state of charge that the inverter keeps, in %.
const minSOC, maxSOC = 5.0, 100.0

// charge returns the power in W that the battery takes at a state of charge in % and a temperature in °C. It tapers
// towards full, and a cold battery takes little.
func (p pack) charge(soc, celsius float64) float64 {
	w := p.power * min(1, (maxSOC-soc)/4) * min(max((celsius+10)/15, 0.1), 1)
	if w < 50 {
		return 0
	}
	return w
}

// discharge returns the power in W that the battery gives.
func (p pack) discharge(soc float64) float64 {
	w := p.power * min(1, (soc-minSOC)/2)
	if w < 40 {
		return 0
	}
	return w
}

// cells is the part of the energy that survives the way into the battery's cells, and again the way out of them.
const cells = 0.975

// stored returns the state of charge after watts (positive = charging) for some hours.
func (p pack) stored(soc, watts, hours float64) float64 {
	if p.capacity == 0 {
		return 0
	}
	if watts > 0 {
		watts *= cells
	} else {
		watts /= cells
	}
	return min(max(soc+watts*hours/(10*p.capacity), 0), maxSOC)
}

// flow is where power goes at one instant, in W. sun = battery + ac + heat, with heat > 0 always.
type flow struct {
	sun       float64 // DC, after curtailment
	battery   float64 // positive = charging
	ac        float64 // positive = delivered by the inverter
	curtailed bool    // the inverter takes less than the sun offers
}

// dispatch shares out what the sun offers: first the house, then the battery, then the grid. The battery serves a house
// that the sun cannot.
func (s *site) dispatch(sun, load, soc, celsius float64) flow {
	f := flow{sun: sun}
	deliver := func() float64 { return f.sun*(1-s.sunLoss) - s.standby } // AC power without the battery
	if spare := deliver() - min(load, s.rated); spare > 0 {
		f.battery = min(spare/(1+s.packLoss), s.battery.charge(soc, celsius))
	} else {
		f.battery = -min(-spare/(1-s.packLoss), s.battery.discharge(soc))
	}
	f.ac = deliver() - f.battery - s.packLoss*math.Abs(f.battery)
	if over := f.ac - s.rated; over > 1e-6 {
		f.sun -= over / (1 - s.sunLoss)
		f.ac = s.rated
		f.curtailed = true
	}
	return f
}
