package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is CLOCK_BOOTTIME: it counts while the host sleeps, and NTP corrects its rate but never steps it.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return sinceStart()
	}
	return time.Duration(t.Nano())
}

// synced asks the kernel how wrong its clock may be. The error grows from the last word of a time server on and is
// 16 s, the most there is, when there was none. The flag STA_UNSYNC is of less use: chrony leaves it set on a host whose
// hardware clock it does not manage. Asking changes nothing and needs no right, but a sandbox may forbid it.
func synced() (bool, error) {
	const never = 16_000_000 // µs
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, err
	}
	return t.Maxerror < never, nil
}
