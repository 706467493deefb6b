// Package redis caches the newest samples in a Redis in front of another store, and carries new samples between processes.
// Losing Redis, or its contents, never loses data.
//
//	Latest ──> Redis ──(miss)──> the store behind ──> Redis
//	Insert ──> the store behind, then the device's answer in Redis is deleted
//	Publish ──> Redis ──> Listen of every process
package redis

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"sunspool/health"
	"sunspool/vps/store"
	"sunspool/wire"
)

// budget is for all commands of one request together.
const budget = 150 * time.Millisecond

// Names in Redis. The first is the Python API's: other servers of the same API may share it. None of the others is ever
// read by them.
const (
	realtimeKey = "realtime:"
	leaseKey    = "sunspool:lease:"
	probeKey    = "sunspool:probe"
	liveChannel = "sunspool:live:"
)

// Cache keeps the answers of Latest in a Redis in front of another store, for any number of processes, and carries new
// samples between them. Nothing depends on it: while Redis is away, hung, full or holds wrong values, every answer comes
// from the store behind, and a request is never delayed by more than budget. After a failure Redis is left alone for
// a second, then for two, up to half a minute, until it passes a probe in the background.
//
// An Insert by any process deletes the device's answer before it returns, so Latest never gives an older sample than one
// that a finished Insert of any process stored. A reader that is about to read from the store takes a lease on the device
// first, and its answer is kept only if the lease is still there; an Insert deletes the lease together with the answer. So
// a reader that is late cannot put back what was there before. The answer lives for what is left of the
// lease: it is never older than ttl, whatever happened, also where the deletion could not be sent. Then this process
// does not use Redis for the device until the deletion was done; another process, which cannot see that, gives the
// old answer for the rest of ttl. So it does after an Insert whose outcome is unknown and that takes effect later.
type Cache struct {
	store.Samples
	ttl    time.Duration
	budget time.Duration // see budget
	option rueidis.ClientOption
	link   *health.Link

	use      atomic.Pointer[rueidis.Client] // nil while Redis is not to be used
	failed   chan error                     // why it is not, for keep
	id       string                         // of this process, in its leases
	leases   atomic.Uint64
	outgoing chan wire.Sample // to be published

	decoded sync.Map // *decoded by device; as many as were read and have samples
	mu      sync.Mutex
	marks   uint64
	stale   map[string]uint64 // devices whose answer in Redis is to be deleted, by the mark of the last Insert; as many as insert

	stop    context.CancelFunc
	running sync.WaitGroup
}

// New returns a cache in the Redis at address, a URL, in front of samples, which it owns from then on. It connects
// in the background and reports to link how that goes. A ttl of zero keeps nothing. The error, about an address that is
// none, is a *health.Fault.
func New(samples store.Samples, address string, ttl time.Duration, link *health.Link) (*Cache, error) {
	return within(budget, samples, address, ttl, link)
}

// within is New with another budget.
func within(budget time.Duration, samples store.Samples, address string, ttl time.Duration, link *health.Link) (*Cache, error) {
	option, err := optionOf(address)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Cache{
		Samples: samples, ttl: ttl, budget: budget, option: option, link: link,
		failed: make(chan error, 1), id: rand.Text(), outgoing: make(chan wire.Sample, outbox),
		stale: map[string]uint64{}, stop: stop,
	}
	r.running.Go(func() { r.keep(ctx) })
	r.running.Go(func() { r.publish(ctx) })
	return r, nil
}

// optionOf reads the address of a Redis.
func optionOf(address string) (rueidis.ClientOption, error) {
	option, why := parseURL(address)
	if why == "" {
		return option, nil
	}
	return option, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: "the URL of Redis cannot be used", Why: why,
		Next: "write it as redis://[user:password@]host[:port][/database], or rediss:// for TLS"}
}

func (r *Cache) Insert(ctx context.Context, device string, samples []wire.Sample) (int, error) {
	defer r.forget(context.WithoutCancel(ctx), device) // after an error too: its outcome is unknown
	return r.Samples.Insert(ctx, device, samples)
}

func (r *Cache) Latest(ctx context.Context, device string) (wire.Sample, error) {
	if err := ctx.Err(); err != nil {
		return wire.Sample{}, err
	}
	left, lease := r.budget, ""
	if r.ttl > 0 && r.deleted(ctx, &left, device) {
		s, hit := r.get(ctx, &left, device)
		if hit {
			return s, nil
		}
		lease = r.lease(ctx, &left, device)
	}
	s, err := r.Samples.Latest(ctx, device)
	switch {
	case lease == "":
	case err == nil:
		r.fill(ctx, &left, device, lease, &s)
	case errors.Is(err, store.ErrNone): // it may be the name of no device: nothing of it is kept
		r.do(ctx, &left, func(ctx context.Context, c rueidis.Client) error {
			return c.Do(ctx, c.B().Del().Key(leaseKey+device).Build()).Error()
		})
	}
	return s, err
}

// Close ends the connection, whatever Redis does, and closes the store behind.
func (r *Cache) Close() error {
	r.stop()
	r.running.Wait()
	return r.Samples.Close()
}

// do sends one command of a request if Redis is to be used and something is left of the request's time, and reports
// whether it was answered. Any error, also one that Redis answers, is a reason not to use it for a while.
func (r *Cache) do(ctx context.Context, left *time.Duration, send func(context.Context, rueidis.Client) error) bool {
	client := r.use.Load()
	if client == nil || *left <= 0 {
		return false
	}
	limit, cancel := context.WithTimeout(ctx, *left)
	defer cancel()
	began := time.Now()
	err := send(limit, *client)
	*left -= time.Since(began)
	if err != nil && ctx.Err() == nil { // a caller that went away is not a fault of Redis
		r.broke(client, err)
	}
	return err == nil
}

// get returns the answer that Redis has. What Redis holds may come from any program, so no more is read than an answer is
// long, and only what is exactly an answer is accepted.
func (r *Cache) get(ctx context.Context, left *time.Duration, device string) (s wire.Sample, hit bool) {
	var value []byte
	ok := r.do(ctx, left, func(ctx context.Context, c rueidis.Client) (err error) {
		value, err = c.Do(ctx, c.B().Getrange().Key(realtimeKey+device).Start(0).End(maxSample).Build()).AsBytes()
		if e, is := rueidis.IsRedisErr(err); is && strings.HasPrefix(e.Error(), "WRONGTYPE") {
			return nil // a list of another program: what is written next replaces it
		}
		return err
	})
	if !ok || len(value) == 0 {
		return s, false
	}
	if last, ok := r.decoded.Load(device); ok && bytes.Equal(last.(*decoded).value, value) {
		return last.(*decoded).sample, true
	}
	if s, hit = decodeSample(value, device, time.Now()); hit {
		r.decoded.Store(device, &decoded{value, s})
	}
	return s, hit
}

// decoded is the last answer about a device that Redis had. While it stays the same to the byte it is not decoded again.
type decoded struct {
	value  []byte
	sample wire.Sample
}

// lease returns the token that fill needs, "" when another reader has the lease.
func (r *Cache) lease(ctx context.Context, left *time.Duration, device string) string {
	token := r.id + strconv.FormatUint(r.leases.Add(1), 36)
	ok := r.do(ctx, left, func(ctx context.Context, c rueidis.Client) error {
		err := c.Do(ctx, c.B().Set().Key(leaseKey+device).Value(token).Nx().PxMilliseconds(r.ttl.Milliseconds()).Build()).Error()
		if rueidis.IsRedisNil(err) {
			token = ""
			return nil
		}
		return err
	})
	if !ok {
		return ""
	}
	return token
}

// filling turns a lease into an answer for the time that is left of it.
var filling = rueidis.NewLuaScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local left = redis.call('PTTL', KEYS[2])
if left > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', left) end
return redis.call('DEL', KEYS[2])`)

func (r *Cache) fill(ctx context.Context, left *time.Duration, device, lease string, s *wire.Sample) {
	value, ok := encodeSample(s)
	if !ok {
		return
	}
	r.do(ctx, left, func(ctx context.Context, c rueidis.Client) error {
		return filling.Exec(ctx, c, []string{realtimeKey + device, leaseKey + device}, []string{lease, rueidis.BinaryString(value)}).Error()
	})
}

// forget deletes the device's answer and lease, or records that this is still to be done.
func (r *Cache) forget(ctx context.Context, device string) {
	r.mu.Lock()
	r.marks++
	r.stale[device] = r.marks
	r.mu.Unlock()
	left := r.budget
	r.deleted(ctx, &left, device)
}

// deleted reports whether Redis may be used for device: what had to be deleted there is.
func (r *Cache) deleted(ctx context.Context, left *time.Duration, device string) bool {
	r.mu.Lock()
	mark, todo := r.stale[device]
	r.mu.Unlock()
	if !todo {
		return true
	}
	ok := r.do(ctx, left, func(ctx context.Context, c rueidis.Client) error {
		return c.Do(ctx, c.B().Del().Key(realtimeKey+device, leaseKey+device).Build()).Error()
	})
	if ok {
		r.done(device, mark)
	}
	return ok
}

// done takes a deletion off the list unless another Insert has added one since.
func (r *Cache) done(device string, mark uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stale[device] == mark {
		delete(r.stale, device)
	}
}
