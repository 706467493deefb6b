package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"sunspool/health"
)

const (
	connectAtMost = 60 * time.Second // between two tries to connect, after 1, 2, 4 ...
	probeAtMost   = 30 * time.Second // the same, between two probes of a Redis that failed
	probeLimit    = 2 * time.Second  // for a probe, which may have to connect again
)

// WrongURL returns what is wrong with address, without quoting it: it may hold a password. It returns "" if nothing is.
func WrongURL(address string) string {
	_, why := parseURL(address)
	return why
}

func parseURL(address string) (option rueidis.ClientOption, why string) {
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

// keep connects, and from then on decides whether Redis is used: not from a failure on until a probe succeeds.
func (r *Cache) keep(ctx context.Context) {
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
func (r *Cache) connect(ctx context.Context) rueidis.Client {
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

// probe checks whether Redis answers, stores, and is fast enough, and does the deletions that could not be sent.
func (r *Cache) probe(ctx context.Context, client rueidis.Client) error {
	limit, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	if err := client.Do(limit, client.B().Ping().Build()).Error(); err != nil { // connects again if it must
		return err
	}
	if err := r.deleteStale(limit, client); err != nil {
		return err
	}
	limit, cancel = context.WithTimeout(ctx, r.budget)
	defer cancel()
	return client.Do(limit, client.B().Set().Key(probeKey).Value("1").Px(time.Second).Build()).Error()
}

func (r *Cache) deleteStale(ctx context.Context, client rueidis.Client) error {
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

func (r *Cache) broke(client *rueidis.Client, err error) {
	if r.use.CompareAndSwap(client, nil) {
		r.failed <- err // there is room: the one before was taken before use was set again
	}
}

func (r *Cache) report(err error) { r.link.Report(r.explain(err)) }

// Reach asks the Redis at address once whether it answers and stores. The error is a *health.Fault.
func Reach(ctx context.Context, address string) error {
	option, err := optionOf(address)
	if err != nil {
		return err
	}
	r := &Cache{option: option, budget: budget}
	client, err := rueidis.NewClient(option)
	if err == nil {
		err = r.probe(ctx, client)
	}
	if client != nil {
		client.Close()
	}
	return r.explain(err)
}

// explain makes an error of Redis a *health.Fault.
func (r *Cache) explain(err error) error {
	if err == nil {
		return nil
	}
	why := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		why = fmt.Sprintf("no answer within %v", r.budget)
	} else if r.option.Password != "" {
		why = strings.ReplaceAll(why, r.option.Password, "***") // an old Redis quotes the login that it did not understand
	}
	fault := &health.Fault{Code: "redis_unavailable", What: "Redis cannot be used", Why: why,
		Next: "nothing is lost, answers come from the database; check that Redis runs and that REDIS_URL names it"}
	switch code, _, _ := strings.Cut(why, " "); code {
	case "WRONGPASS", "NOAUTH", "NOPERM", "ERR":
		fault.Code, fault.Next = "redis_refuses", "check the user, the password and the database in REDIS_URL, and what that user may do"
	case "DB": // index is out of range
		fault.Code, fault.Next = "redis_refuses", "correct the number of the database at the end of REDIS_URL: it is larger than this Redis has"
	case "OOM":
		fault.Code, fault.Next = "redis_full", "give Redis more memory, or let it drop old keys: maxmemory-policy allkeys-lru"
	}
	return fault
}
