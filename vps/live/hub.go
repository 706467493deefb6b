// Package live hands what was just stored to the streams of this process.
//
//	ingest, other processes ──> Hub.Publish ──> a Subscription per stream ──> Hub.Take ──> reader
package live

import (
	"slices"
	"sync"
	"time"

	"sunspool/vps/auth"
	"sunspool/wire"
)

const (
	Window     = 10 * time.Minute // a sample that is older when it arrives is history, and no news for a stream
	MaxStreams = 64               // in this process, and a quarter of it of one token; one more closes another, see subscribe
	MaxWaiting = 120              // samples that wait for a slow reader; one more drops the oldest
)

// Hub brings new samples to the streams of this process. Nobody waits for a reader.
type Hub struct {
	mu      sync.Mutex
	streams []*Subscription // the oldest first
}

// Subscription is what one stream gets of its devices.
type Subscription struct {
	token  auth.TokenSum
	Ready  chan struct{} // receives a value when samples wait
	Closed chan struct{} // closed when a newer stream replaces this one

	devices []string      // guarded by Hub.mu, as waiting is
	waiting []wire.Sample // of all of them, in the order in which they came
}

// Subscribe returns a new subscription. Of a token that has its share the oldest one is closed for it; if there are too
// many, the oldest of the token that has most, or of its own one if it has about as many. The first stream of a token is
// always let in, so that many tokens with one each do not drive each other out.
func (l *Hub) Subscribe(token auth.TokenSum, devices ...string) *Subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[auth.TokenSum]int{}
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
	case own >= MaxStreams/4:
		l.close(token)
	case len(l.streams) >= MaxStreams && counts[most] > 0:
		l.close(most)
	}
	sub := &Subscription{devices: devices, token: token, Ready: make(chan struct{}, 1), Closed: make(chan struct{})}
	l.streams = append(l.streams, sub)
	return sub
}

// close closes the oldest stream of token.
func (l *Hub) close(token auth.TokenSum) {
	i := slices.IndexFunc(l.streams, func(sub *Subscription) bool { return sub.token == token })
	close(l.streams[i].Closed)
	l.streams = slices.Delete(l.streams, i, i+1)
}

func (l *Hub) Unsubscribe(sub *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.streams, sub); i >= 0 {
		l.streams = slices.Delete(l.streams, i, i+1)
	}
}

// Follow makes sub one of other devices from now on.
func (l *Hub) Follow(sub *Subscription, devices ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sub.devices = devices
}

// HasSubscribers reports whether any stream is about device.
func (l *Hub) HasSubscribers(device string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.streams, func(sub *Subscription) bool { return slices.Contains(sub.devices, device) })
}

// Publish gives samples of one device, in ascending order, to its streams.
func (l *Hub) Publish(samples ...wire.Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, sub := range l.streams {
		if len(samples) == 0 || !slices.Contains(sub.devices, samples[0].DeviceID) {
			continue
		}
		sub.waiting = append(sub.waiting, samples...)
		sub.waiting = sub.waiting[max(0, len(sub.waiting)-MaxWaiting):]
		select {
		case sub.Ready <- struct{}{}:
		default:
		}
	}
}

// Take returns what waits for sub.
func (l *Hub) Take(sub *Subscription) []wire.Sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	samples := sub.waiting
	sub.waiting = nil
	return samples
}

func (l *Hub) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.streams)
}

// Recent returns those of samples that are not history at the time now, in ascending order.
func Recent(samples []wire.Sample, now time.Time) []wire.Sample {
	var recent []wire.Sample
	for _, s := range samples {
		if now.Sub(s.Time) <= Window {
			recent = append(recent, s)
		}
	}
	slices.SortStableFunc(recent, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	return recent[max(0, len(recent)-MaxWaiting):]
}
