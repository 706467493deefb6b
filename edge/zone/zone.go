// Package zone is in which time zone a household is: an edge names that of its host, and a person may type one.
package zone

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sunspool/settings"
)

// OfProcess returns the IANA name of the time zone of this process, or "" when nothing says it: the inverter hangs on the
// same wall as the host, so its days begin and end there.
func OfProcess() string {
	if tz, ok := os.LookupEnv("TZ"); ok {
		return Known(strings.TrimPrefix(tz, ":"))
	}
	return OfHost("")
}

// OfHost returns that of the host, as timedatectl sets it. root is before the paths of its files.
func OfHost(root string) string {
	localtime := filepath.Join(root, "/etc/localtime")
	if link, err := filepath.EvalSymlinks(localtime); err == nil {
		if _, name, ok := strings.Cut(link, "zoneinfo/"); ok {
			return Known(name)
		}
	}
	if name, err := os.ReadFile(filepath.Join(root, "/etc/timezone")); err == nil {
		return Known(strings.TrimSpace(string(name)))
	}
	return ""
}

// Known returns a name if it is one of a time zone, else "".
func Known(name string) string {
	if name == "" || name == "Local" {
		return ""
	}
	if _, err := time.LoadLocation(name); err != nil {
		return ""
	}
	return name
}

// Nearest returns the time zone that was probably meant by a name that is none: of the zones that the host lists, by its city or
// with a few other letters. "" if none comes near.
func Nearest(name string) string { return nearest(name, listed("/usr/share/zoneinfo")) }

func nearest(name string, zones []string) string {
	plain := func(text string) string { return strings.ToLower(strings.ReplaceAll(text, " ", "_")) }
	written := plain(name)
	byCity, byName, shown := map[string]string{}, map[string]string{}, []string{}
	cities := []string{}
	for _, zone := range zones {
		byName[plain(zone)] = zone
		shown = append(shown, plain(zone))
		city := plain(zone[strings.LastIndex(zone, "/")+1:])
		byCity[city] = zone
		cities = append(cities, city)
	}
	if zone := byName[settings.Nearest(written, shown, 3)]; zone != "" {
		return zone
	}
	return byCity[settings.Nearest(written[strings.LastIndex(written, "/")+1:], cities, 2)]
}

// listed returns the names of zones below a directory: Europe/Brussels and such, of which people know theirs.
func listed(dir string) (zones []string) {
	for _, area := range []string{"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"} {
		_ = filepath.WalkDir(filepath.Join(dir, area), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				zones = append(zones, strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(dir)+"/"))
			}
			return nil
		})
	}
	return append(zones, "Etc/UTC")
}
