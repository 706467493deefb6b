package vps

import (
	"testing"
	"time"
)

func TestWhatWaitsForASlowReaderIsBounded(t *testing.T) {
	b := newBench(t)
	sub := b.live.subscribe("inv-1", tokenSum{})
	for i := range 3 * maxUnwritten {
		b.ingested(sample(time.Duration(3*maxUnwritten-1-i) * time.Second))
	}
	waiting := b.live.take(sub)
	if n := len(waiting); n != maxUnwritten || !waiting[n-1].Time.Equal(testNow) {
		t.Errorf("%d samples wait", n)
	}
	b.post(token1, bodyOf(fields(0)))
	if waiting := b.live.take(sub); waiting != nil {
		t.Errorf("a repetition is news: %v", waiting)
	}
}
