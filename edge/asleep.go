package edge

import (
	"errors"

	"sunspool/health"
)

// asleep is a string inverter at night, which is no fault.
var asleep = &health.Fault{Code: "inverter_asleep", What: "the inverter sleeps until sunrise", Err: health.ErrResting}

// orAsleep takes the silence of an inverter for sleep while its nights make that likely: string inverters switch their
// dongle off with the sun. Another inverter that answers in its place is no silence.
func (e *Edge) orAsleep(err error) error {
	f, ok := errors.AsType[*health.Fault](err)
	if !ok || f.Exit != health.ExitUnreachable || f.Code == "inverter_changed" {
		return err
	}
	if e.night.asleep(now()) {
		return asleep
	}
	if e.night.lastAt.IsZero() && !e.night.kept.String { // it was never seen
		hint := *f
		hint.Next += "; a string inverter answers by daylight only"
		return &hint
	}
	return err
}
