package vps

import (
	"testing"
	"time"
)

func TestWhatWaitsForASlowReaderIsBounded(t *testing.T) {
	b := newBench(t)
	sub := b.live.subscribe("inv-1")
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

// More streams than there is room for, before any of the closed ones has left.
func TestEachStreamTooManyClosesAnother(t *testing.T) {
	var l live
	var all []*subscription
	for range maxStreams + 3 {
		all = append(all, l.subscribe("a"))
	}
	closed := 0
	for _, sub := range all {
		select {
		case <-sub.closed:
			closed++
		default:
		}
		l.unsubscribe(sub)
	}
	if closed != 3 || l.count() != 0 {
		t.Errorf("%d closed, %d left", closed, l.count())
	}
}
