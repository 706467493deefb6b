package edge

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

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
