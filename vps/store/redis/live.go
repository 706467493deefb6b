package redis

import (
	"context"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"sunspool/wire"
)

const (
	outbox      = 1024        // samples that wait to be published
	resubscribe = time.Second // after which a lost subscription is made again
)

// Publish queues s for every process that listens. If too many are waiting, or Redis is away, it is dropped.
func (r *Cache) Publish(s wire.Sample) {
	select {
	case r.outgoing <- s:
	default:
	}
}

func (r *Cache) publish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-r.outgoing:
			left := probeLimit // no request waits for it
			r.do(ctx, &left, func(ctx context.Context, c rueidis.Client) error { return r.publishAll(ctx, c, s) })
		}
	}
}

// publishAll sends s and what is queued behind it.
func (r *Cache) publishAll(ctx context.Context, c rueidis.Client, s wire.Sample) error {
	var all []rueidis.Completed
	for {
		if value, ok := encodeSample(&s); ok {
			all = append(all, c.B().Publish().Channel(liveChannel+s.DeviceID).Message(rueidis.BinaryString(value)).Build())
		}
		if len(r.outgoing) == 0 || len(all) == 64 { // only this goroutine takes from it
			break
		}
		s = <-r.outgoing
	}
	for _, result := range c.DoMulti(ctx, all...) {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}

// Listen calls receive with what processes publish, this one too, of devices for which subscribed is true, until ctx ends.
// Neither may block: no command is answered until they return. What is published while there is no connection is lost.
func (r *Cache) Listen(ctx context.Context, subscribed func(device string) bool, receive func(wire.Sample)) {
	for {
		if client := r.use.Load(); client != nil {
			c := *client
			_ = c.Receive(ctx, c.B().Psubscribe().Pattern(liveChannel+"*").Build(), func(m rueidis.PubSubMessage) {
				device, ok := strings.CutPrefix(m.Channel, liveChannel)
				if !ok || !subscribed(device) {
					return
				}
				if s, ok := decodeSample([]byte(m.Message), device, time.Now()); ok {
					receive(s)
				}
			}) // its error is also found, and reported, by a request or the next probe
		}
		if !sleep(ctx, resubscribe) {
			return
		}
	}
}
