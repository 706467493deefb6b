package edge

import (
	"fmt"
	"hash/fnv"
	"time"

	"sunspool/edge/registers"
	"sunspool/health"
)

// frozenAfter is how long a dongle may repeat itself in sunshine. Real power is never that steady.
const frozenAfter = 5 * time.Minute

// frozen recognizes a dongle that goes on answering with the words of the past.
type frozen struct {
	print uint64
	since time.Time
}

// still returns for how long the words of blocks A and D have been the same. Without sun they may well be: then it
// starts anew.
func (f *frozen) still(r Reading, pvPowerW float64) time.Duration {
	print := fingerprint(r.Words)
	if print != f.print || pvPowerW <= 0 || f.since.IsZero() {
		f.print, f.since = print, r.At
	}
	return r.At.Sub(f.since)
}

// fingerprint sums up the words of blocks A and D.
func fingerprint(words registers.Words) uint64 {
	h := fnv.New64a()
	for _, start := range []uint16{4999, 12999} {
		for i := range uint16(80) {
			w, ok := words[start+i]
			if !ok {
				continue
			}
			h.Write([]byte{byte(i), byte(w >> 8), byte(w)})
		}
	}
	return h.Sum64()
}

// thaw deals with a dongle that repeats itself: what it says is not a measurement, and a new connection may wake it, at
// once or after a growing rest.
func (e *Edge) thaw(still time.Duration) error {
	e.Inverter.Reconnect()
	e.Report.lost("inverter_frozen")
	return &health.Fault{
		Code: "inverter_frozen",
		What: fmt.Sprintf("the dongle has repeated the same values for %v", still.Round(time.Second)),
		Next: "restart the dongle if it goes on; its values are not stored meanwhile",
	}
}
