package packaging

import (
	"testing"

	"sunspool/internal/testservices"
)

// debian returns a folder with a Debian of that suite and further packages, to be mounted read-only below something. It
// takes a minute or two and is made once a machine: it stays in the user's cache.
func debian(t testing.TB, suite string, packages ...string) string {
	t.Helper()
	return testservices.Debian(t, "apt", suite, packages...)
}

// unpacked returns a folder with nothing but the files of packages of a suite and of what they need, for programs that
// run on another Debian too.
func unpacked(t testing.TB, suite string, packages ...string) string {
	t.Helper()
	return testservices.Debian(t, "extract", suite, packages...)
}
