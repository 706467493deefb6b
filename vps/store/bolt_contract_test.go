package store

import (
	"testing"
)

func TestBolt(t *testing.T) {
	testSamples(t, func(t *testing.T, dir string) Samples { return open(t, dir) })
}
