package report

import (
	"fmt"
	"strings"

	"sunspool/edge/reading"
	"sunspool/health"
)

// unknownAfter is how many polls in a row must not add up until it is reported: a poll reads its registers one after
// the other, and powers change between them.
const unknownAfter = 3

// contradicted returns the fault of an inverter whose registers have not agreed for some polls, nil if they have.
func (r *Report) contradicted() *health.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.off < unknownAfter {
		return nil
	}
	f := &health.Fault{
		Code: "registers_contradict", What: "registers of the inverter contradict each other", Why: strings.Join(r.facts.Doubts, "; "),
		Next: "compare with the inverter's display; please report it with the model and a poll of RAW_DEBUG_ENABLED=true",
	}
	if watts, ok := reading.Residual(r.facts.Balance); ok && f.Why == "" {
		f.Why = fmt.Sprintf("PV less battery and AC power leaves %.0f W, which no conversion loses", watts)
	}
	return f
}

// meterless returns the fault of an inverter that has lost its meter, nil if it has not.
func (r *Report) meterless() *health.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.facts.MeterLost {
		return nil
	}
	return &health.Fault{
		Code: "meter_lost", What: "the inverter reports that its grid meter does not answer", Why: "load and grid power are not known",
		Next: "check the meter and its cable; a meter that was moved to an iHomeManager is read there",
	}
}

func (r *Report) contradicting() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(r.off)
}

func (r *Report) residual() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	watts, _ := reading.Residual(r.facts.Balance)
	return int64(watts)
}
