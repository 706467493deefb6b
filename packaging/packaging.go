// Package packaging is what a machine is given beside the program and its units: the files to fill in, the system user,
// the scripts of the Debian package, its manual pages. nfpm.yaml says what goes where; what `sunspool service install`
// needs of it on a machine without the package is embedded here.
//
// The tests of this package are those of the whole appliance: they build the packages and images of this commit, and
// run them on a Debian with a real systemd and in a real Docker engine.
package packaging

import _ "embed"

// Sysusers is the system user of the services, for systemd-sysusers.
//
//go:embed sysusers.conf
var Sysusers string
