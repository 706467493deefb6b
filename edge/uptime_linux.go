package edge

import (
	"time"

	"golang.org/x/sys/unix"
)

var started = now()

// uptime is CLOCK_BOOTTIME: it counts while the host sleeps, and nobody sets it.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return now().Sub(started)
	}
	return time.Duration(t.Nano())
}
