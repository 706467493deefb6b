package deviceinfo

import (
	"sync"
	"time"

	"sunspool/vps/request"
	"sunspool/wire"
)

// StateOf returns the state of a device by its newest sample alone, and for how long it has been in it. Whether it really
// sleeps is decided by its nights, see Devices.StateOf.
func StateOf(newest *wire.Sample, age time.Duration, edge *wire.Edge) (state string, lasted time.Duration) {
	state, lasted = Freshness(age, edge)
	if (state == "stale" || state == "offline") && age <= LongestNight && maySleep(newest) {
		return "asleep", age
	}
	return state, lasted
}

// HasBattery reports whether a sample has anything of a battery.
func HasBattery(s *wire.Sample) bool { return s.BatteryPowerW != nil || s.BatterySOCPct != nil }

// Freshness returns the state of a device by the age of its newest sample in polls, and for how long it has been in it. An
// edge that did not report its poll interval polls every 5 s.
func Freshness(age time.Duration, edge *wire.Edge) (state string, lasted time.Duration) {
	poll := 5 * time.Second
	if edge != nil {
		poll = time.Duration(min(max(edge.PollIntervalS, 5), 3600) * float64(time.Second))
	}
	switch {
	case age <= 3*poll:
		return "live", age
	case age <= 12*poll:
		return "delayed", age - 3*poll
	case age <= 180*poll:
		return "stale", age - 12*poll
	}
	return "offline", age - 180*poll
}

// sleepStates caches whether devices that are silent are asleep.
type sleepStates struct {
	mu sync.Mutex
	of map[string]sleepState // by device; as many as there are devices that may be asleep
}

type sleepState struct {
	since, at time.Time // of the last sample, and when it was determined
	asleep    bool
}

// StateOf returns the state of a device by its newest sample, and for how long it has been in it.
func (d *Devices) StateOf(c *request.Request, device string, newest *wire.Sample, age time.Duration, edge *wire.Edge) (state string, lasted time.Duration) {
	if state, lasted = StateOf(newest, age, edge); state == "asleep" && !d.asleep(c, device, newest.Time) {
		return Freshness(age, edge)
	}
	return state, lasted
}

// asleep reports whether a silence that began in the dark and lasts is like the device's other nights. It returns true if the
// store cannot be read.
func (d *Devices) asleep(c *request.Request, device string, since time.Time) bool {
	now := d.Now()
	d.sleeping.mu.Lock()
	last, ok := d.sleeping.of[device]
	d.sleeping.mu.Unlock()
	if ok && last.since.Equal(since) && now.Sub(last.at).Abs() < nightFresh {
		return last.asleep
	}
	n, err := d.NightsOf(c, device, since, now, nil)
	if err != nil {
		return true
	}
	sleeps, err := d.sleeps(c, device, n, silence{since, now})
	if err != nil {
		return true
	}
	s := sleepState{since, now, sleeps}
	d.sleeping.mu.Lock()
	defer d.sleeping.mu.Unlock()
	if d.sleeping.of == nil {
		d.sleeping.of = map[string]sleepState{}
	}
	d.sleeping.of[device] = s
	return s.asleep
}
