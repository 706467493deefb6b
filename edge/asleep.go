package edge

import (
	"errors"
	"time"

	"sunspool/health"
)

// asleep is a string inverter at night, which is no fault.
var asleep = &health.Fault{Code: "inverter_asleep", What: "the inverter sleeps until sunrise", Err: health.ErrResting}

// orAsleep takes the silence of an inverter that was last seen in the dusk for sleep: string inverters switch their
// dongle off with the sun.
func (e *Edge) orAsleep(err error) error {
	const dusk, longestNight = 50, 20 * time.Hour
	f, ok := errors.AsType[*health.Fault](err)
	if !ok || f.Exit != health.ExitUnreachable || f.Code == "inverter_changed" {
		return err
	}
	if e.Inverter.SleepsAtNight() && e.lastPV < dusk && e.Report.sinceSample() < longestNight {
		return asleep
	}
	return err
}
