package deviceinfo

import (
	"sync"
	"time"

	"sunspool/vps/request"
	"sunspool/wire"
)

// StateOf returns the state of a device by its newest sample alone, and for how long it has been in it. Whether it really
// sleeps is decided by its nights, see Devices.StateOf.
func StateOf(newest *wire.Sample, age time.Duration, edge *wire.Edge) (state string, held time.Duration) {
	state, held = Freshness(age, edge)
	if (state == "stale" || state == "offline") && age <= LongestNight && maySleep(newest) {
		return "asleep", age
	}
	return state, held
}

// HasBattery reports whether a sample has anything of a battery.
func HasBattery(s *wire.Sample) bool { return s.BatteryPowerW != nil || s.BatterySOCPct != nil }

// Freshness names an age by how many polls it is long, and returns for how long that name has applied. An edge that did not
// report how often it polls does so every 5 s.
func Freshness(age time.Duration, edge *wire.Edge) (state string, held time.Duration) {
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

// verdicts are silences that last, with what they were taken for.
type verdicts struct {
	mu sync.Mutex
	of map[string]verdict // by device; as many as there are devices that may be asleep
}

type verdict struct {
	since, at time.Time
	asleep    bool
}

// StateOf returns the state of a device by its newest sample, and for how long it has been in it.
func (d *Devices) StateOf(c *request.Request, device string, newest *wire.Sample, age time.Duration, edge *wire.Edge) (state string, held time.Duration) {
	if state, held = StateOf(newest, age, edge); state == "asleep" && !d.asleep(c, device, newest.Time) {
		return Freshness(age, edge)
	}
	return state, held
}

// asleep reports whether a silence that began in the dark and lasts is like the device's other nights. The store's trouble
// is no reason to think otherwise.
func (d *Devices) asleep(c *request.Request, device string, since time.Time) bool {
	now := d.Now()
	d.verdicts.mu.Lock()
	last, ok := d.verdicts.of[device]
	d.verdicts.mu.Unlock()
	if ok && last.since.Equal(since) && now.Sub(last.at).Abs() < nightHolds {
		return last.asleep
	}
	n, err := d.NightsOf(c, device, since, now)
	if err != nil {
		return true
	}
	sleeps, err := d.sleeps(c, device, n, silence{since, now})
	if err != nil {
		return true
	}
	v := verdict{since, now, sleeps}
	d.verdicts.mu.Lock()
	defer d.verdicts.mu.Unlock()
	if d.verdicts.of == nil {
		d.verdicts.of = map[string]verdict{}
	}
	d.verdicts.of[device] = v
	return v.asleep
}
