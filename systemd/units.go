package systemd

import (
	"embed"
	"strings"
)

// The units as packages ship them: sunspool-edge, its sibling for further inverters, sunspool-vps.
//
//go:embed *.service
var units embed.FS

// packaged is where packages put the program, and so what the units call.
const packaged = "/usr/bin/sunspool"

// PackagedSpool is the spool of the unit sunspool-edge.
const PackagedSpool = "/var/lib/sunspool/edge/spool.db"

// unit is the text of a role's unit for the program at path.
func unit(role, path string) (string, error) {
	text, err := units.ReadFile("sunspool-" + role + ".service")
	return strings.ReplaceAll(string(text), packaged, path), err
}
