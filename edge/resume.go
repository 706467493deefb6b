package edge

import (
	"errors"

	"sunspool/edge/inverter"
	"sunspool/edge/reading"
)

// errUnresumed is why no sample reaches a spool that was opened just now.
var errUnresumed = errors.New("the spool was opened just now: samples follow with the next poll")

// resume takes over what the spool keeps of the inverter. Where a disk does not let the spool be opened at the start,
// that is known only when it does; until then no sample leaves the memory, because it may be one of another inverter. The
// goroutine that polls calls it, before each poll.
func (e *Edge) resume() {
	if e.unresumed.Load() == nil {
		return
	}
	err := e.Spool.Available()
	if err == nil {
		err = e.Clock.Join(e.Clock.Host.Up()) // before samples are given the number of their boot
	}
	if err == nil {
		err = e.takeOver()
	}
	if err != nil {
		e.unresumed.Store(&err)
		return
	}
	e.unresumed.Store(nil)
	e.Log.Info("spool opened", "waiting", e.Spool.Waiting(), "in_memory", e.buffer.Len())
	e.buffer.commitSoon()
	if e.opened != nil {
		e.opened()
	}
}

// ready returns why samples must not be written yet, nil if they may.
func (e *Edge) ready() error {
	err := e.unresumed.Load()
	switch {
	case err == nil:
		return nil
	case e.Spool.Closed() == nil:
		return errUnresumed
	}
	return *err
}

// takeOver reads what the spool keeps of the inverter. The error is the spool's.
func (e *Edge) takeOver() error {
	known, err := keptIdentity(e.Spool, e.DeviceID)
	if err != nil {
		return err
	}
	day, err := keptYieldDay(e.Spool, e.DeviceID)
	if err != nil {
		return err
	}
	for _, text := range e.Spool.Opening().Warnings {
		e.Log.Warn("spool", "mended", text)
	}
	seen := e.Inverter.Known
	if !e.Inverter.Resume(known) {
		n := e.buffer.discard("inverter_changed")
		e.Log.Error("another inverter was read while the spool was not open: its samples are dropped", "samples", n,
			"serial", inverter.MaskSerial(seen.Serial), "want", inverter.MaskSerial(known.Serial))
		e.normal = reading.Normalizer{Zone: e.normal.Zone, Save: e.normal.Save}
	}
	e.normal.Merge(day)
	return nil
}
