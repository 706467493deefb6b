package doctor

import (
	"context"
	"strconv"
	"strings"

	"sunspool/health"
)

// packaged looks at where the program came from, and whether a newer one is known.
func (e *examination) packaged(ctx context.Context) (all []Check) {
	text, err := e.Program(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Version}", "sunspool")
	status, installed, _ := strings.Cut(strings.TrimSpace(text), " ")
	installed = strings.TrimSpace(installed)
	if err != nil || !strings.HasPrefix(status, "ii") {
		all = append(all, skip(areaPackage, "sunspool is not here as a package: a newer version is for you to find", ""))
	} else {
		all = append(all, e.policy(ctx, installed))
	}
	for _, s := range e.services {
		for _, one := range s.edges {
			if one.runs && one.health.Version != "" && one.health.Version != e.version {
				all = append(all, warn(areaPackage, &health.Fault{Code: "version_differs", What: s.unitOr() + " runs version " + one.health.Version + ", and this program is " + e.version,
					Why: "it was not started again after an upgrade", Next: "sudo systemctl restart " + health.Quote(s.unitOr())}))
				break
			}
		}
	}
	return all
}

// policy says what apt knows of the package.
func (e *examination) policy(ctx context.Context, installed string) Check {
	text, err := e.Program(ctx, "apt-cache", "policy", "sunspool")
	if err != nil {
		return skip(areaPackage, "version "+installed+"; apt cannot be asked", "")
	}
	candidate, source := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if version, ok := strings.CutPrefix(line, "Candidate: "); ok {
			candidate = version
		}
		fields := strings.Fields(line) // such as 500 https://deb.example.org stable/main amd64 Packages
		if len(fields) < 3 || source != "" {
			continue
		}
		if _, err := strconv.Atoi(fields[0]); err == nil {
			source = fields[1]
		}
	}
	switch {
	case source == "":
		return skip(areaPackage, "version "+installed+", installed from a file: apt has no source for it, so apt upgrade brings nothing newer", "")
	case candidate != "" && candidate != installed && candidate != "(none)":
		return warn(areaPackage, &health.Fault{Code: "newer_version", What: "version " + installed + " is installed, and " + candidate + " can be had from " + source, Next: "sudo apt-get install --only-upgrade sunspool"})
	}
	return pass(areaPackage, "version %s is the newest that apt knows; its source is %s", installed, source)
}
