package vps

import (
	"slices"
	"sync"
	"time"

	"sunspool/wire"
)

const (
	liveFor      = 10 * time.Minute // a sample that is older when it arrives is history, and no news for a stream
	maxStreams   = 64               // in this process, and a quarter of it of one token; one more closes another, see subscribe
	maxUnwritten = 120              // samples that wait for a slow reader; one more drops the oldest
)

// live brings new samples to the streams of this process. Nobody waits for a reader.
type live struct {
	mu      sync.Mutex
	streams []*subscription // the oldest first
}

// subscription is what one stream hears of its device.
type subscription struct {
	device string
	token  tokenSum
	ready  chan struct{} // gets a value when something waits
	closed chan struct{} // is closed when a newer stream needs the place

	waiting []wire.Sample // guarded by live.mu
}

// subscribe returns a new subscription. Of a token that has its share the oldest one is closed for it; if there are too
// many, the oldest of the token that has most, or of its own one if it has about as many. The first stream of a token is
// always let in, so that many tokens with one each do not drive each other out.
func (l *live) subscribe(device string, token tokenSum) *subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[tokenSum]int{}
	for _, sub := range l.streams {
		counts[sub.token]++
	}
	own, most := counts[token], token
	for other, n := range counts {
		if n >= max(counts[most]+1, own+2) {
			most = other
		}
	}
	switch {
	case own >= maxStreams/4:
		l.close(token)
	case len(l.streams) >= maxStreams && counts[most] > 0:
		l.close(most)
	}
	sub := &subscription{device: device, token: token, ready: make(chan struct{}, 1), closed: make(chan struct{})}
	l.streams = append(l.streams, sub)
	return sub
}

// close closes the oldest stream of token.
func (l *live) close(token tokenSum) {
	i := slices.IndexFunc(l.streams, func(sub *subscription) bool { return sub.token == token })
	close(l.streams[i].closed)
	l.streams = slices.Delete(l.streams, i, i+1)
}

func (l *live) unsubscribe(sub *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.streams, sub); i >= 0 {
		l.streams = slices.Delete(l.streams, i, i+1)
	}
}

// wanted reports whether any stream is about device.
func (l *live) wanted(device string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.streams, func(sub *subscription) bool { return sub.device == device })
}

// tell gives samples of one device, in ascending order, to its streams.
func (l *live) tell(samples ...wire.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, sub := range l.streams {
		if len(samples) == 0 || sub.device != samples[0].DeviceID {
			continue
		}
		sub.waiting = append(sub.waiting, samples...)
		sub.waiting = sub.waiting[max(0, len(sub.waiting)-maxUnwritten):]
		select {
		case sub.ready <- struct{}{}:
		default:
		}
	}
}

// take returns what waits for sub.
func (l *live) take(sub *subscription) []wire.Sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	samples := sub.waiting
	sub.waiting = nil
	return samples
}

func (l *live) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.streams)
}

// news returns those of samples that are not history at the time now, in ascending order.
func news(samples []wire.Sample, now time.Time) []wire.Sample {
	var recent []wire.Sample
	for _, s := range samples {
		if now.Sub(s.Time) <= liveFor {
			recent = append(recent, s)
		}
	}
	slices.SortStableFunc(recent, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	return recent[max(0, len(recent)-maxUnwritten):]
}
