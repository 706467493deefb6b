package edge

import (
	"crypto/rand"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// Host is what a Clock asks the machine it runs on.
type Host struct {
	Wall   func() time.Time     // what the host takes for the time: it may be wrong, and it may step
	Up     func() time.Duration // since the host started, suspended time included: it never steps
	Synced func() (bool, error) // whether a time server keeps the wall clock; an error is a host that does not say
	BootID string               // another one after each start of the host
}

// thisHost returns the sources of the machine we run on. A machine that does not name its boots starts a new one with
// each process.
func thisHost() Host {
	h := Host{Wall: now, Up: uptime, Synced: synced, BootID: bootID()}
	if h.BootID == "" {
		h.BootID, h.Up = rand.Text(), sinceStart
	}
	return h
}

// bootID prefers what a service manager says, because a sandbox may hide the kernel's own. It is "" where nobody says.
func bootID() string {
	if id := strings.TrimSpace(os.Getenv("SUNSPOOL_BOOT_ID")); id != "" {
		return id
	}
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

func sinceStart() time.Duration { return now().Sub(started) }

// oldest is before the first day of this program: no clock that says so is right.
var oldest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// built is when this program was made, as far as it knows: it cannot be earlier now.
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
