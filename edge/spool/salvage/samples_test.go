package salvage

import (
	"sunspool/edge/spool/spooltest"
)

// Samples of tests.
var (
	noon     = spooltest.Noon
	sampleAt = spooltest.SampleAt
)
