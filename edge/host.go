package edge

import (
	"crypto/rand"
	"os"
	"path/filepath"
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

// hostZone returns the IANA name of the host's time zone, or "" when the host does not say: the inverter hangs on the
// same wall, so its days begin and end there.
func hostZone() string {
	if tz, ok := os.LookupEnv("TZ"); ok {
		return known(strings.TrimPrefix(tz, ":"))
	}
	if link, err := filepath.EvalSymlinks("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(link, "zoneinfo/"); ok {
			return known(name)
		}
	}
	if name, err := os.ReadFile("/etc/timezone"); err == nil {
		return known(strings.TrimSpace(string(name)))
	}
	return ""
}

// sunZone returns zone if its noon is about that of the sun, else nil: a host that is set to UTC may be anywhere.
func sunZone(zone *time.Location) *time.Location {
	if zone == nil || zone == time.UTC || !strings.Contains(zone.String(), "/") || strings.HasPrefix(zone.String(), "Etc/") {
		return nil
	}
	return zone
}

func known(zone string) string {
	if zone == "" || zone == "Local" {
		return ""
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return ""
	}
	return zone
}
