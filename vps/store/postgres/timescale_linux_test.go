package postgres

import (
	"flag"
	"testing"

	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
)

var timescale = flag.Bool("timescale", false, "run the tests of PostgreSQL on a Debian 13 with TimescaleDB; make test-timescale does")

func TestTimescale(t *testing.T) {
	if !*timescale {
		t.Skip("SKIPPED, NOTHING IS SHOWN: make test-timescale runs it")
	}
	pg := testservices.Timescale(t)
	t.Run("Contract", func(t *testing.T) {
		open := opensOn(t, pg, "")
		storetest.Run(t, func(t *testing.T, dir string) store.Samples { return open(t, dir) })
	})
	for _, s := range append(suite, suiteTest{"SamplesAreAHypertable", samplesAreAHypertable}) {
		t.Run(s.claim, func(t *testing.T) { s.test(t, pg.With(t)) })
	}
}
