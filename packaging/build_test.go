package packaging

import (
	"testing"

	"sunspool/internal/testprogram"
)

// target is a processor that the program is built for. goarm is for arm alone.
type target struct{ goarch, goarm string }

func (p target) String() string {
	if p.goarm != "" {
		return p.goarch + "v" + p.goarm
	}
	return p.goarch
}

// program is the path of the program for p, built as a release does.
func program(t testing.TB, p target) string {
	t.Helper()
	return testprogram.For(t, "linux", p.goarch, p.goarm)
}
