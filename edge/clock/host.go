package clock

import (
	"crypto/rand"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// Host is the sources of time of a machine.
type Host struct {
	Wall   func() time.Time     // the host's clock: it may be wrong, and it may step
	Up     func() time.Duration // since the host started, suspended time included: it never steps
	Synced func() (bool, error) // whether the clock is synchronized by a time server; an error if the host does not report it
	BootID string               // changes with each start of the host
}

// ThisHost returns the sources of this machine. On one without boot ids each process is a boot of its own.
func ThisHost() Host {
	h := Host{Wall: now, Up: uptime, Synced: synced, BootID: bootID()}
	if h.BootID == "" {
		h.BootID, h.Up = rand.Text(), sinceStart
	}
	return h
}

// bootID returns the boot id set by the service manager, because a sandbox may hide the kernel's, else that of the kernel, else
// "".
func bootID() string {
	if id := strings.TrimSpace(os.Getenv("SUNSPOOL_BOOT_ID")); id != "" {
		return id
	}
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

func sinceStart() time.Duration { return now().Sub(started) }

// oldest is before the first day of this program: a clock that shows an earlier time is wrong.
var oldest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// built returns when this program was built, as far as that is known: the true time is not earlier.
var built = sync.OnceValue(func() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && t.After(oldest) {
				return t
			}
		}
	}
	return oldest
})

// Built returns when this program was built, or the first day of its kind: a clock that shows an earlier time is wrong.
func Built() time.Time { return built() }
