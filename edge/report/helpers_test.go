package report

import (
	"encoding/binary"
	"errors"
	"os"
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

// commitsOf is how many transactions the file of a spool has seen: the newer of its two first pages has the number.
func commitsOf(t *testing.T, s *spool.Spool) (n uint64) {
	t.Helper()
	b, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []int{0, 4096} {
		n = max(n, binary.NativeEndian.Uint64(b[page+16+48:]))
	}
	return n
}
