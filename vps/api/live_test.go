package api

import (
	"testing"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/live"
)

func TestWhatWaitsForASlowReaderIsBounded(t *testing.T) {
	b := newBench(t)
	sub := b.live.Subscribe(auth.TokenSum{}, "inv-1")
	for i := range 3 * live.MaxWaiting {
		b.ingested(sample(time.Duration(3*live.MaxWaiting-1-i) * time.Second))
	}
	waiting := b.live.Take(sub)
	if n := len(waiting); n != live.MaxWaiting || !waiting[n-1].Time.Equal(testNow) {
		t.Errorf("%d samples wait", n)
	}
	b.post(token1, bodyOf(fields(0)))
	if waiting := b.live.Take(sub); waiting != nil {
		t.Errorf("a repetition is news: %v", waiting)
	}
}
