// Package packaging is what a machine is given beside the program and its units: the files to fill in, the system user,
// the scripts of the Debian package, its manual pages. nfpm.yaml says what goes where; what `sunspool service install`
// needs of it on a machine without the package is embedded here.
//
// The tests of this package are those of the whole appliance: they build the packages and images of this commit, and
// run them on a Debian with a real systemd and in a real Docker engine.
package packaging

import "embed"

// Sysusers is the system user of the services, for systemd-sysusers.
//
//go:embed sysusers.conf
var Sysusers string

//go:embed edge.env vps.env
var envs embed.FS

// Env is the file to fill in for a role, edge or vps.
func Env(role string) string {
	text, err := envs.ReadFile(role + ".env")
	if err != nil {
		panic(err) // there is no such role
	}
	return string(text)
}
