package edge

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// now is the only place of the edge that asks the host for the time. Whether the host knows it is decided here too, so
// that a sample never carries a time nobody vouches for.
func now() time.Time { return time.Now() }

// timestamp is t as a sample carries it: UTC, whole milliseconds, which is the finest that every store keeps.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

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

func known(zone string) string {
	if zone == "" || zone == "Local" {
		return ""
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return ""
	}
	return zone
}
