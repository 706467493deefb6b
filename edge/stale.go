package edge

import (
	"fmt"
	"time"

	"sunspool/health"
)

// reconnect handles stale readings, of a dongle that repeats itself for so long: they are no measurements. A new connection,
// at once or after a growing wait, may wake the dongle.
func (e *Edge) reconnect(still time.Duration) error {
	e.Inverter.Reconnect()
	return &health.Fault{
		Code: "inverter_frozen",
		What: fmt.Sprintf("the dongle has repeated the same values for %v", still.Round(time.Second)),
		Next: "restart the dongle if it goes on; its values are not stored meanwhile",
	}
}
