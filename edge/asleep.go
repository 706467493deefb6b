package edge

import (
	"errors"

	"sunspool/health"
)

// asleep is the error of a string inverter at night, which is no fault.
var asleep = &health.Fault{Code: "inverter_asleep", What: "the inverter sleeps until sunrise", Err: health.ErrResting}

// asSleeping returns err, of an inverter that does not answer, or asleep if that is likely by its nights: string inverters
// switch their dongle off with the sun. If another inverter answers in its place it is not asleep.
func (e *Edge) asSleeping(err error) error {
	f, ok := errors.AsType[*health.Fault](err)
	if !ok || f.Exit != health.ExitUnreachable || f.Code == "inverter_changed" {
		return err
	}
	if e.night.Asleep(now()) {
		return asleep
	}
	if e.night.Unseen() {
		hint := *f
		hint.Next += "; a string inverter answers by daylight only"
		return &hint
	}
	return err
}
