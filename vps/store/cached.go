package store

import (
	"context"
	"sync"
	"time"

	"sunspool/wire"
)

// maxCached bounds the devices in a Cached: some 8 KiB each with all their register values.
const maxCached = 10_000

// Cached caches the answers of Latest in memory, in front of another store of this process.
//
// An Insert through it drops the device's answer before it returns, so Latest never gives an older sample than one that
// a finished Insert stored. What reaches the store past this Cached, from another process, is seen after ttl at the
// latest. A ttl of zero keeps nothing.
type Cached struct {
	Samples
	ttl time.Duration

	mu      sync.Mutex
	entries map[string]*entry // by device
}

// entry is an answer, or the place of one that is being read from the store. If the place is no longer in the map when the
// answer is there, an Insert came in between, and the answer is not cached.
type entry struct {
	sample  wire.Sample
	expires time.Time // zero while it is being read
}

// NewCached returns a cache in front of samples, which it owns from then on.
func NewCached(samples Samples, ttl time.Duration) *Cached {
	return &Cached{Samples: samples, ttl: ttl, entries: map[string]*entry{}}
}

func (c *Cached) Insert(ctx context.Context, device string, samples []wire.Sample) (int, error) {
	defer c.drop(device) // after an error too: its outcome is unknown
	return c.Samples.Insert(ctx, device, samples)
}

func (c *Cached) Latest(ctx context.Context, device string) (wire.Sample, error) {
	if err := ctx.Err(); err != nil {
		return wire.Sample{}, err
	}
	e, hit := c.get(device)
	if hit {
		return e.sample, nil
	}
	s, err := c.Samples.Latest(ctx, device)
	c.put(device, e, s, err)
	return s, err
}

// Close empties the cache and closes the store behind it.
func (c *Cached) Close() error {
	c.mu.Lock()
	c.entries = nil
	c.mu.Unlock()
	return c.Samples.Close()
}

// get returns the device's entry: a hit, or a place for the answer that the caller is about to read, nil for none.
func (c *Cached) get(device string) (e *entry, hit bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e = c.entries[device]
	switch {
	case e != nil && time.Now().Before(e.expires):
		return e, true
	case c.entries == nil || c.ttl <= 0:
		return nil, false
	case e == nil && len(c.entries) >= maxCached:
		for other := range c.entries { // any one: map order is random, and a wrong choice costs one read
			delete(c.entries, other)
			break
		}
	}
	e = &entry{}
	c.entries[device] = e
	return e, false
}

// put fills the place e with what was read, unless an Insert or a later reader has taken it away.
func (c *Cached) put(device string, e *entry, s wire.Sample, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e == nil || c.entries[device] != e:
	case err != nil:
		delete(c.entries, device)
	default:
		e.sample, e.expires = s, time.Now().Add(c.ttl)
	}
}

func (c *Cached) drop(device string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, device)
}
