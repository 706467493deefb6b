package inverter

import (
	"context"
	"fmt"
	"time"

	"sunspool/edge/pace"
	"sunspool/health"
)

const (
	firstAbsence   = 30 * time.Second
	longestAbsence = 10 * time.Minute
)

// absence reduces the polls of a unit that loses the connection each time while another unit behind the same dongle answers:
// many gateways answer with silence for a unit id that no inverter has, or whose inverter sleeps. Otherwise every poll of the
// one unit would cost a poll of the other. It has no effect while no unit answers: then the dongle itself is silent.
type absence struct {
	served uint64    // Dongle.served when this unit was last polled
	lost   int       // connections lost in a row, with another unit served before each
	until  time.Time // earliest time of the next poll
	fault  error     // reason for the pause
}

// paused returns the last error while the unit is left alone, else nil.
func (a *absence) paused() error {
	if now().Before(a.until) {
		return a.fault
	}
	return nil
}

// recordResult records the result err of a poll, for the unit and for those that share its dongle.
func (in *Inverter) recordResult(err error) {
	d, a := in.Dongle, &in.absent
	if !d.connected() {
		d.lostBy = in.Unit
	}
	if d.connected() || err == nil { // it answered, perhaps with an exception
		d.served++
		*a = absence{served: d.served}
		return
	}
	if d.served > a.served {
		a.lost++
	}
	a.served, a.fault = d.served, in.explain(err)
	if d.Round > 0 {
		a.until = d.notBefore.Add(d.Round) // another unit is polled first
	}
	if a.lost > 1 {
		rest := now().Add(pace.Jitter(min(firstAbsence<<min(a.lost-2, 10), longestAbsence)))
		if rest.After(a.until) {
			a.until = rest
		}
	}
}

// explain adds to f that only this unit does not answer, while another one does.
func (a *absence) explain(f *health.Fault, unit byte) {
	if a.lost > 1 && (f.Code == "inverter_silent" || f.Code == "inverter_reset") {
		f.Why = fmt.Sprintf("unit %d does not answer, while another one behind this dongle does", unit)
		f.Next = fmt.Sprintf("check SUNGROW_SLAVE_ID; an inverter that sleeps is back by itself, it is asked every %v at least", longestAbsence)
	}
}

// AwaitPause waits for the end of the first, short pause after another unit has lost the connection: that must not cost this
// unit a poll.
func (d *Dongle) AwaitPause(ctx context.Context, unit byte) error {
	rest := d.notBefore.Sub(now())
	if d.Round == 0 || d.lostBy == unit || rest > pauses[0]+pauses[0]/10 {
		return ctx.Err()
	}
	return pace.Sleep(ctx, rest)
}
