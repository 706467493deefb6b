package inspect

import (
	"testing"

	"sunspool/edge/spool"
	"sunspool/edge/spool/spooltest"
)

// Samples of tests.
var (
	fill = spooltest.Fill
	peek = spooltest.Peek
	seqs = spooltest.Seqs
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
