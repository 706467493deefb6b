package clock

import (
	"errors"
	"testing"

	"sunspool/edge/spool"
	"sunspool/edge/spool/spooltest"
	"sunspool/health"
)

// Samples of tests.
var (
	noon     = spooltest.Noon
	sampleAt = spooltest.SampleAt
	peek     = spooltest.Peek
	seqs     = spooltest.Seqs
)

func openSpool(t *testing.T, path string) *spool.Spool {
	t.Helper()
	s, err := spool.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// hasCode reports whether err is a *health.Fault of that code.
func hasCode(err error, code string) bool {
	f, ok := errors.AsType[*health.Fault](err)
	return ok && f.Code == code
}
