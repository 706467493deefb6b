package simulator

import "math"

// noise returns a smooth random curve through 0..1 whose features are one unit of x wide. The same seed gives the same
// curve, at any x without its past: this is what lets the simulator answer for any instant.
func noise(seed uint64, x float64) float64 {
	cell := math.Floor(x)
	f := x - cell
	i := int64(cell)
	a, b := random(seed, i), random(seed, i+1)
	return a + (b-a)*f*f*(3-2*f)
}

// random returns a number in 0..1 that depends on nothing but seed and i.
func random(seed uint64, i int64) float64 {
	return float64(mix(seed+uint64(i)*0x9E3779B97F4A7C15)>>11) / (1 << 53)
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xBF58476D1CE4E5B9
	x ^= x >> 27
	x *= 0x94D049BB133111EB
	return x ^ x>>31
}

// weather is the seeded course of clouds and air temperature, for ever.
type weather struct {
	fronts, showers, banks, puffs, wisps, warmth uint64 // seeds
}

func newWeather(seed uint64) weather {
	next := func(i uint64) uint64 { return mix(seed*0xD1342543DE82EF95 + i) }
	return weather{next(1), next(2), next(3), next(4), next(5), next(6)}
}

// cover returns how much of the sky is clouded, 0..1: fronts of a day and a half, showers of hours.
func (w *weather) cover(minute, winter float64) float64 {
	c := 0.62*noise(w.fronts, minute/2200) + 0.38*noise(w.showers, minute/410)
	return min(max(0.58+2.3*(c-0.5)+0.14*winter, 0), 1)
}

// clouds returns what a clouded sky does with direct light: the part that passes and the part of the rest that is
// scattered to the ground. Single clouds cross the sun in minutes.
func (w *weather) clouds(minute, cover float64) (beam, veil float64) {
	gap := 0.5*noise(w.banks, minute/47) + 0.32*noise(w.puffs, minute/11) + 0.18*noise(w.wisps, minute/3.1)
	beam = min(max((gap-1.15*cover+0.16)/0.22, 0), 1)
	return beam, 0.42 - 0.24*cover
}

// mean returns the air temperature in °C without its daily swing.
func (w *weather) mean(minute, winter float64) float64 {
	return 18.5 - 15*winter + 15*(noise(w.warmth, minute/5200)-0.5)
}

// swing is the daily course of the air temperature by local minute, -1 just before dawn to 1 in the afternoon.
var swing = func() (s [1441]float64) {
	for m := range s {
		s[m] = math.Cos(2 * math.Pi * (float64(m) - 15*60) / 1440)
	}
	return s
}()
