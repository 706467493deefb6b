package edge

import (
	"context"
	"fmt"
	"time"

	"sunspool/health"
)

const (
	firstAbsence   = 30 * time.Second
	longestAbsence = 10 * time.Minute
)

// absence spaces out the polls of a unit that costs the connection each time, while another unit behind the same dongle
// is served: a unit id that nobody has, or an inverter that sleeps, is met with silence by many gateways. Without it
// every poll of the one would take one from the other. Neither matters while no unit is served: then the dongle itself
// is what does not answer.
type absence struct {
	served uint64    // of the dongle, when this unit was last tried
	lost   int       // connections lost in a row, another unit having been served before each
	until  time.Time // no poll before
	fault  error     // why
}

// resting returns the last error while the unit is left alone.
func (a *absence) resting() error {
	if now().Before(a.until) {
		return a.fault
	}
	return nil
}

// noteServed notes how a poll with the result err went, for the unit and for those that share its dongle.
func (in *Inverter) noteServed(err error) {
	d, a := in.Dongle, &in.absent
	if !d.connected() {
		d.lostBy = in.Unit
	}
	if d.connected() || err == nil { // it answered, if only with an exception
		d.served++
		*a = absence{served: d.served}
		return
	}
	if d.served > a.served {
		a.lost++
	}
	a.served, a.fault = d.served, in.explain(err)
	if d.Round > 0 {
		a.until = d.notBefore.Add(d.Round) // another one is tried first
	}
	if a.lost > 1 {
		rest := now().Add(jitter(min(firstAbsence<<min(a.lost-2, 10), longestAbsence)))
		if rest.After(a.until) {
			a.until = rest
		}
	}
}

// explain names the unit that does not answer while another one does: then it is not the dongle.
func (a *absence) explain(f *health.Fault, unit byte) {
	if a.lost > 1 && (f.Code == "inverter_silent" || f.Code == "inverter_reset") {
		f.Why = fmt.Sprintf("unit %d does not answer, while another one behind this dongle does", unit)
		f.Next = fmt.Sprintf("check SUNGROW_SLAVE_ID; an inverter that sleeps is back by itself, it is asked every %v at least", longestAbsence)
	}
}

// outlast waits, if another unit has lost the connection just now, until the dongle has had its first, short rest: its
// own trouble is no reason for this unit to miss a poll.
func (d *Dongle) outlast(ctx context.Context, unit byte) error {
	rest := d.notBefore.Sub(now())
	if d.Round == 0 || d.lostBy == unit || rest > quiet[0]+quiet[0]/10 {
		return ctx.Err()
	}
	return sleep(ctx, rest)
}
