package upload

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
	fill     = spooltest.Fill
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

func asFault(err error) *health.Fault {
	f, _ := errors.AsType[*health.Fault](err)
	return f
}
