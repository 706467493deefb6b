package edge

import (
	"sunspool/edge/spool/spooltest"
)

// Samples of tests.
var (
	noon     = spooltest.Noon
	sampleAt = spooltest.SampleAt
	fill     = spooltest.Fill
	peek     = spooltest.Peek
	seqs     = spooltest.Seqs
)
