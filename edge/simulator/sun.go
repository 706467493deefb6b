package simulator

import "math"

// The default place: Brussels.
const (
	latitude  = 50.8 * math.Pi / 180 // north
	longitude = 4.4                  // degrees east
)

// array is one group of modules on one MPPT input.
type array struct {
	peak    float64 // W at standard test conditions
	azimuth float64 // degrees clockwise from north
	tilt    float64 // degrees from the horizontal
}

// plane is an array's geometry with its trigonometry done.
type plane struct {
	peak            float64
	east, north, up float64 // unit vector that the modules face
}

func (a array) plane() plane {
	sinTilt, cosTilt := math.Sincos(a.tilt * math.Pi / 180)
	sinAzimuth, cosAzimuth := math.Sincos(a.azimuth * math.Pi / 180)
	return plane{a.peak, sinTilt * sinAzimuth, sinTilt * cosAzimuth, cosTilt}
}

// season is what the sun does on one day of the year. Within the day only the hour angle changes.
type season struct {
	sinDeclination, cosDeclination float64
	noon                           float64 // minutes after 00:00 UTC at which the sun is highest
	direct, depth, diffuse         float64 // clear sky: W/m² above the air, optical depth, scattered part
	winter                         float64 // 0 in high summer, 1 in deep winter
}

func newSeason(yearDay int) season {
	day := float64(yearDay)
	turn := func(shift float64) float64 { return math.Sin(2 * math.Pi * (day + shift) / 365) }
	b := 2 * math.Pi * (day - 81) / 364
	equation := 9.87*math.Sin(2*b) - 7.53*math.Cos(b) - 1.5*math.Sin(b) // minutes that a sundial is ahead
	sin, cos := math.Sincos(23.44 * math.Pi / 180 * turn(284))
	return season{
		sinDeclination: sin,
		cosDeclination: cos,
		noon:           720 - 4*longitude - equation,
		// The monthly clear-sky coefficients of ASHRAE, as the sines that they nearly are.
		direct:  1160 + 75*turn(-275),
		depth:   0.174 + 0.035*turn(-100),
		diffuse: 0.095 + 0.04*turn(-100),
		winter:  0.5 + 0.5*math.Cos(2*math.Pi*(day-15)/365),
	}
}

var sinLatitude, cosLatitude = math.Sincos(latitude)

// sky is the sun's direction and the light of a cloudless sky.
type sky struct {
	east, north, up float64 // unit vector to the sun
	beam, diffuse   float64 // W/m²: facing the sun, and on the horizontal from the rest of the sky
}

// sky returns the sky at minutes after 00:00 UTC. A sun below the horizon gives no light.
func (s *season) sky(minutes float64) sky {
	sin, cos := math.Sincos((minutes - s.noon) / 720 * math.Pi)
	k := sky{
		east:  -s.cosDeclination * sin,
		north: cosLatitude*s.sinDeclination - sinLatitude*s.cosDeclination*cos,
		up:    sinLatitude*s.sinDeclination + cosLatitude*s.cosDeclination*cos,
	}
	if k.up > 0 {
		k.beam = s.direct * math.Exp(-s.depth/k.up)
		k.diffuse = s.diffuse * k.beam
	}
	return k
}

// watts returns the DC power of the modules under sky k, of whose direct light the clouds let beam (0..1) through and
// scatter the part veil, at an air temperature in °C.
func (p *plane) watts(k sky, beam, veil, air float64) float64 {
	diffuse := k.diffuse + k.beam*k.up*(1-beam)*veil
	facing := max(0, p.east*k.east+p.north*k.north+p.up*k.up)
	const ground = 0.2 // of the light is reflected by it
	light := k.beam*beam*facing + diffuse*(1+p.up)/2 + ground*(k.beam*beam*k.up+diffuse)*(1-p.up)/2
	if light < 6 { // W/m²: below this the input does not start
		return 0
	}
	cell := air + 0.028*light
	const wiring = 0.88 // what dirt, mismatch and cables leave
	return p.peak * light / 1000 * wiring * (1 - 0.0036*(cell-25))
}
