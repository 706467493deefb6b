package transport_test

import (
	"errors"
	"testing"

	"sunspool/edge/spool"
	"sunspool/edge/spool/spooltest"
	"sunspool/health"
)

var fill = spooltest.Fill

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
