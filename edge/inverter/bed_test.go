package inverter_test

import (
	"testing"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
)

// bed is an inverter on the other end of a pipe, in virtual time, and ours that reads it.
type bed struct{ *invertertest.Bed }

func newBed(t *testing.T, sim *simulator.Server) *bed { return &bed{invertertest.New(t, sim)} }
