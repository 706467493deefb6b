package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"sunspool/health"
	"sunspool/wire"
)

const (
	redisBudget = 150 * time.Millisecond // for all commands of one request together
	maxSample   = 16 << 10               // bytes of a sample in Redis: more is neither written nor believed
	maxPower    = 1e15                   // of any number in it, as for what edges send: sums of such stay finite

	connectAtMost = 60 * time.Second // between two tries to connect, after 1, 2, 4 ...
	probeAtMost   = 30 * time.Second // between two tries to use a Redis that failed, likewise
	probeLimit    = 2 * time.Second  // for one of them, which may have to connect again
	resubscribe   = time.Second      // after which one that lost its subscription asks for it again
	outbox        = 1024             // samples that wait to be published
)

// Names in Redis. The first is the contract's: other servers of the same API may share it. None of the others is ever
// read by them.
const (
	realtimeKey = "realtime:"
	leaseKey    = "sunspool:lease:"
	probeKey    = "sunspool:probe"
	liveChannel = "sunspool:live:"
)

// Redis keeps the answers of Latest in a Redis in front of another store, for any number of processes, and carries new
// samples between them. Nothing depends on it: while Redis is away, hung, full or lying, every answer comes from the store
// behind, and a request is never delayed by more than redisBudget. After a failure Redis is left alone for a second,
// then for two, up to half a minute, until it passes a probe in the background.
//
// An Insert by any process deletes the device's answer before it returns, so Latest never gives an older sample than one
// that a finished Insert of any process stored. A reader that is about to ask the store takes a lease on the device
// first, and its answer is kept only if the lease is still there; an Insert takes the lease away together with the
// answer. So a reader that is late cannot put back what was there before. The answer lives for what is left of the
// lease: it is never older than ttl, whatever happened, also where the deletion could not be sent. Then this process
// does not believe Redis about the device until the deletion was done; another process, which cannot know, gives the
// old answer for the rest of ttl. So it does after an Insert whose outcome is unknown and that takes effect later.
type Redis struct {
	Samples
	ttl    time.Duration
	option rueidis.ClientOption
	link   *health.Link

	use    atomic.Pointer[rueidis.Client] // nil while Redis is not to be used
	failed chan error                     // why it is not, for keep
	id     string                         // of this process, in its leases
	leases atomic.Uint64
	news   chan wire.Sample // to be published

	decoded sync.Map // *decoded by device; as many as were asked for and have samples
	mu      sync.Mutex
	marks   uint64
	stale   map[string]uint64 // devices whose answer in Redis is to be deleted, by the mark of the last Insert; as many as insert

	stop    context.CancelFunc
	running sync.WaitGroup
}

// NewRedis returns a cache in the Redis at address, a URL, in front of samples, which it owns from then on. It connects
// in the background and reports to link how that goes. A ttl of zero keeps nothing. The error, about an address that is
// none, is a *health.Fault.
func NewRedis(samples Samples, address string, ttl time.Duration, link *health.Link) (*Redis, error) {
	option, why := redisOption(address)
	if why != "" {
		return nil, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: "the URL of Redis cannot be used", Why: why,
			Next: "write it as redis://[user:password@]host[:port][/database], or rediss:// for TLS"}
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Redis{
		Samples: samples, ttl: ttl, option: option, link: link,
		failed: make(chan error, 1), id: rand.Text(), news: make(chan wire.Sample, outbox),
		stale: map[string]uint64{}, stop: stop,
	}
	r.running.Go(func() { r.keep(ctx) })
	r.running.Go(func() { r.publish(ctx) })
	return r, nil
}

// WrongRedisURL says what is wrong with address, without quoting it: it may hold a password. "" is nothing.
func WrongRedisURL(address string) string {
	_, why := redisOption(address)
	return why
}

func redisOption(address string) (option rueidis.ClientOption, why string) {
	u, err := url.Parse(address)
	switch {
	case !strings.Contains(address, "://"): // host:port alone, most often
		return option, "does not begin with redis:// or rediss://"
	case err != nil:
		return option, "is not a URL: a password with other signs than letters and digits must be percent-encoded"
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return option, "does not begin with redis:// or rediss://"
	case u.Hostname() == "":
		return option, "names no host"
	case u.RawQuery != "" || u.Fragment != "":
		return option, "has something after a ? or #, which is not used"
	}
	port := 6379
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return option, "has a port that is not 1 to 65535"
		}
	}
	database := 0
	if name := strings.TrimPrefix(u.Path, "/"); name != "" {
		if database, err = strconv.Atoi(name); err != nil || database < 0 {
			return option, "has a path that is not the number of a database"
		}
	}
	password, _ := u.User.Password()
	option = rueidis.ClientOption{
		InitAddress: []string{net.JoinHostPort(u.Hostname(), strconv.Itoa(port))},
		Username:    u.User.Username(),
		Password:    password,
		SelectDB:    database,
		ClientName:  "sunspool",

		Dialer:           net.Dialer{Timeout: time.Second, KeepAlive: 5 * time.Second}, // KeepAlive is also between pings
		ConnWriteTimeout: time.Second,                                                  // of a ping, too

		ForceSingleClient:   true,
		DisableCache:        true, // the client's own, which needs more of a Redis than many offer
		PipelineMultiplex:   -1,   // one connection
		RingScaleEachConn:   9,
		ReadBufferEachConn:  32 << 10,
		WriteBufferEachConn: 32 << 10,
	}
	if u.Scheme == "rediss" {
		option.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	}
	return option, ""
}

func (r *Redis) Insert(ctx context.Context, device string, samples []wire.Sample) (int, error) {
	defer r.forget(context.WithoutCancel(ctx), device) // after an error too: its outcome is unknown
	return r.Samples.Insert(ctx, device, samples)
}

func (r *Redis) Latest(ctx context.Context, device string) (wire.Sample, error) {
	if err := ctx.Err(); err != nil {
		return wire.Sample{}, err
	}
	left, lease := redisBudget, ""
	if r.ttl > 0 && r.deleted(ctx, &left, device) {
		s, hit := r.get(ctx, &left, device)
		if hit {
			return s, nil
		}
		lease = r.lease(ctx, &left, device)
	}
	s, err := r.Samples.Latest(ctx, device)
	if lease != "" && err == nil {
		r.fill(ctx, &left, device, lease, &s)
	}
	return s, err
}

// Close ends the connection, whatever Redis does, and closes the store behind.
func (r *Redis) Close() error {
	r.stop()
	r.running.Wait()
	return r.Samples.Close()
}

// do sends one command of a request if Redis is to be used and something is left of the request's time, and reports
// whether it was answered. Any error, also one that Redis answers, is a reason not to use it for a while.
func (r *Redis) do(ctx context.Context, left *time.Duration, send func(context.Context, rueidis.Client) error) bool {
	client := r.use.Load()
	if client == nil || *left <= 0 {
		return false
	}
	limit, cancel := context.WithTimeout(ctx, *left)
	defer cancel()
	began := time.Now()
	err := send(limit, *client)
	*left -= time.Since(began)
	if err != nil && ctx.Err() == nil { // a caller that went away says nothing about Redis
		r.broke(client, err)
	}
	return err == nil
}

func (r *Redis) broke(client *rueidis.Client, err error) {
	if r.use.CompareAndSwap(client, nil) {
		r.failed <- err // there is room: the one before was taken before use was set again
	}
}

// get returns the answer that Redis has. What Redis holds may come from anybody, so no more is read than an answer is
// long, and what is not exactly one is none.
func (r *Redis) get(ctx context.Context, left *time.Duration, device string) (s wire.Sample, hit bool) {
	var value []byte
	ok := r.do(ctx, left, func(ctx context.Context, c rueidis.Client) (err error) {
		value, err = c.Do(ctx, c.B().Getrange().Key(realtimeKey+device).Start(0).End(maxSample).Build()).AsBytes()
		if e, is := rueidis.IsRedisErr(err); is && strings.HasPrefix(e.Error(), "WRONGTYPE") {
			return nil // somebody's list: what is written next replaces it
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

// decoded is the last answer about a device that Redis had: while it stays the same to the byte, it means the same.
type decoded struct {
	value  []byte
	sample wire.Sample
}

// lease returns the token that fill needs, "" when another reader has the lease.
func (r *Redis) lease(ctx context.Context, left *time.Duration, device string) string {
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

func (r *Redis) fill(ctx context.Context, left *time.Duration, device, lease string, s *wire.Sample) {
	value, ok := encodeSample(s)
	if !ok {
		return
	}
	r.do(ctx, left, func(ctx context.Context, c rueidis.Client) error {
		return filling.Exec(ctx, c, []string{realtimeKey + device, leaseKey + device}, []string{lease, rueidis.BinaryString(value)}).Error()
	})
}

// forget deletes the device's answer and lease, or remembers that this is still to be done.
func (r *Redis) forget(ctx context.Context, device string) {
	r.mu.Lock()
	r.marks++
	r.stale[device] = r.marks
	r.mu.Unlock()
	left := redisBudget
	r.deleted(ctx, &left, device)
}

// deleted reports whether Redis may be believed about device: what had to be deleted there is.
func (r *Redis) deleted(ctx context.Context, left *time.Duration, device string) bool {
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

// done takes a deletion off the list unless another Insert has asked for one since.
func (r *Redis) done(device string, mark uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stale[device] == mark {
		delete(r.stale, device)
	}
}

// keep connects, and from then on decides whether Redis is used: not from a failure on until a probe succeeds.
func (r *Redis) keep(ctx context.Context) {
	client := r.connect(ctx)
	if client == nil {
		return
	}
	defer client.Close()
	defer r.use.Store(nil)
	pause := time.Second
	for {
		err := r.probe(ctx, client)
		if ctx.Err() != nil {
			return
		}
		r.report(err)
		if err == nil {
			began := time.Now()
			r.use.Store(&client)
			select {
			case <-ctx.Done():
				return
			case err = <-r.failed:
			}
			r.report(err)
			if time.Since(began) > probeAtMost {
				pause = time.Second
			}
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, probeAtMost)
	}
}

// connect returns a client once there is one, nil when ctx ended before.
func (r *Redis) connect(ctx context.Context) rueidis.Client {
	for pause := time.Second; ; pause = min(2*pause, connectAtMost) {
		client, err := rueidis.NewClient(r.option)
		if err == nil {
			return client
		}
		if client != nil {
			client.Close()
		}
		r.report(err)
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// probe finds out whether Redis answers, stores, and is fast enough, and does the deletions that could not be sent.
func (r *Redis) probe(ctx context.Context, client rueidis.Client) error {
	limit, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	if err := client.Do(limit, client.B().Ping().Build()).Error(); err != nil { // connects again if it must
		return err
	}
	if err := r.deleteStale(limit, client); err != nil {
		return err
	}
	limit, cancel = context.WithTimeout(ctx, redisBudget)
	defer cancel()
	return client.Do(limit, client.B().Set().Key(probeKey).Value("1").Px(time.Second).Build()).Error()
}

func (r *Redis) deleteStale(ctx context.Context, client rueidis.Client) error {
	type marked struct {
		device string
		mark   uint64
	}
	var all []marked
	r.mu.Lock()
	for device, mark := range r.stale {
		all = append(all, marked{device, mark})
	}
	r.mu.Unlock()
	for some := range slices.Chunk(all, 500) {
		var keys []string
		for _, m := range some {
			keys = append(keys, realtimeKey+m.device, leaseKey+m.device)
		}
		if err := client.Do(ctx, client.B().Del().Key(keys...).Build()).Error(); err != nil {
			return err
		}
		for _, m := range some {
			r.done(m.device, m.mark)
		}
	}
	return nil
}

func (r *Redis) report(err error) {
	if err == nil {
		r.link.Report(nil)
		return
	}
	why := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		why = fmt.Sprintf("no answer within %v", redisBudget)
	} else if r.option.Password != "" {
		why = strings.ReplaceAll(why, r.option.Password, "***") // an old Redis quotes the login that it did not understand
	}
	fault := &health.Fault{Code: "redis_unavailable", What: "Redis cannot be used", Why: why,
		Next: "nothing is lost, answers come from the database meanwhile; check that Redis runs and that REDIS_URL names it"}
	switch code, _, _ := strings.Cut(why, " "); code {
	case "WRONGPASS", "NOAUTH", "NOPERM", "ERR":
		fault.Code, fault.Next = "redis_refuses", "check the user, the password and the database in REDIS_URL, and what that user may do"
	case "DB": // index is out of range
		fault.Code, fault.Next = "redis_refuses", "correct the number of the database at the end of REDIS_URL: it is larger than this Redis has"
	case "OOM":
		fault.Code, fault.Next = "redis_full", "give Redis more memory, or let it drop old keys: maxmemory-policy allkeys-lru"
	}
	r.link.Report(fault)
}

// Publish sends s to every process that listens, soon; if too many are waiting, or Redis is away, not at all.
func (r *Redis) Publish(s wire.Sample) {
	select {
	case r.news <- s:
	default:
	}
}

func (r *Redis) publish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-r.news:
			left := probeLimit // no request waits for it
			r.do(ctx, &left, func(ctx context.Context, c rueidis.Client) error { return r.publishAll(ctx, c, s) })
		}
	}
}

// publishAll sends s and what has gathered behind it.
func (r *Redis) publishAll(ctx context.Context, c rueidis.Client, s wire.Sample) error {
	var all []rueidis.Completed
	for {
		if value, ok := encodeSample(&s); ok {
			all = append(all, c.B().Publish().Channel(liveChannel+s.DeviceID).Message(rueidis.BinaryString(value)).Build())
		}
		if len(r.news) == 0 || len(all) == 64 { // only this goroutine takes from it
			break
		}
		s = <-r.news
	}
	for _, result := range c.DoMulti(ctx, all...) {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}

// Listen calls heard with what processes publish, this one too, about devices that are wanted, until ctx ends. Neither
// may block: no command is answered meanwhile. What is published while there is no connection is not heard.
func (r *Redis) Listen(ctx context.Context, wanted func(device string) bool, heard func(wire.Sample)) {
	for {
		if client := r.use.Load(); client != nil {
			c := *client
			_ = c.Receive(ctx, c.B().Psubscribe().Pattern(liveChannel+"*").Build(), func(m rueidis.PubSubMessage) {
				device, ok := strings.CutPrefix(m.Channel, liveChannel)
				if !ok || !wanted(device) {
					return
				}
				if s, ok := decodeSample([]byte(m.Message), device, time.Now()); ok {
					heard(s)
				}
			}) // what ended it, a request or the next probe finds too and reports
		}
		if !sleep(ctx, resubscribe) {
			return
		}
	}
}

// encodeSample returns s as others may read it; false for one that is too long.
func encodeSample(s *wire.Sample) (value []byte, ok bool) {
	one := *s
	one.Time = s.Time.UTC().Truncate(time.Millisecond)
	value, err := json.Marshal(&one)
	return value, err == nil && len(value) <= maxSample
}

// decodeSample returns the sample of device that value is, if it is one to the byte: what encodes to anything else than
// value has a field twice, unknown, absent or misspelt, or something after the end.
func decodeSample(value []byte, device string, now time.Time) (wire.Sample, bool) {
	var s wire.Sample
	if len(value) > maxSample || json.Unmarshal(value, &s) != nil {
		return wire.Sample{}, false
	}
	again, ok := encodeSample(&s)
	if !ok || !bytes.Equal(again, value) || s.DeviceID != device || s.Validate(now) != nil || !plausible(&s) {
		return wire.Sample{}, false
	}
	return s, true
}

// plausible reports whether every number of s is one that an answer can be computed from.
func plausible(s *wire.Sample) bool {
	for _, f := range wire.Fields {
		if v := f.Get(s); v != nil && math.Abs(*v) > maxPower {
			return false
		}
	}
	for _, v := range s.Values {
		if math.Abs(v) > maxPower {
			return false
		}
	}
	return true
}
