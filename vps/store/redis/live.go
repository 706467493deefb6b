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
	resubscribe = time.Second // after which one that lost its subscription asks for it again
)

// Publish sends s to every process that listens, soon; if too many are waiting, or Redis is away, not at all.
func (r *Cache) Publish(s wire.Sample) {
	select {
	case r.news <- s:
	default:
	}
}

func (r *Cache) publish(ctx context.Context) {
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
func (r *Cache) publishAll(ctx context.Context, c rueidis.Client, s wire.Sample) error {
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

// Listen calls heard with what processes publish, this one too, of devices for which wanted is true, until ctx ends. Neither
// may block: no command is answered until they return. What is published while there is no connection is lost.
func (r *Cache) Listen(ctx context.Context, wanted func(device string) bool, heard func(wire.Sample)) {
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
