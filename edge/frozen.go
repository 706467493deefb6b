package edge

import (
	"fmt"
	"time"

	"sunspool/health"
)

// thaw deals with a dongle that repeats itself: what it says is not a measurement, and a new connection may wake it, at
// once or after a growing rest.
func (e *Edge) thaw(still time.Duration) error {
	e.Inverter.Reconnect()
	return &health.Fault{
		Code: "inverter_frozen",
		What: fmt.Sprintf("the dongle has repeated the same values for %v", still.Round(time.Second)),
		Next: "restart the dongle if it goes on; its values are not stored meanwhile",
	}
}
