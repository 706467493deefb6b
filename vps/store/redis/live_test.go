//go:build unix

package redis

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/vps/services"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func TestProcessesHearEachOther(t *testing.T) {
	server := services.Redis(t)
	a, b := usable(t, &versions{}, server.URL(), time.Hour), usable(t, &versions{}, server.URL(), time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	heard := make(chan wire.Sample, 1000)
	var wg sync.WaitGroup
	wg.Go(func() {
		b.Listen(ctx, func(device string) bool { return device == "roof" }, func(s wire.Sample) { heard <- s })
	})
	defer wg.Wait()
	defer stop()
	hears := func() bool { // the first are published before it listens
		s := storetest.At(storetest.Noon, 5)
		s.DeviceID = "roof"
		a.Publish(s)
		select {
		case got := <-heard:
			return show(got) == show(s)
		case <-time.After(20 * time.Millisecond):
			return false
		}
	}
	services.Await(t, "it hears", hears)

	c := raw(t, server.URL())
	for channel, text := range map[string]string{
		"sunspool:live:roof":  `{"device_id":"roof"}`,
		"sunspool:live:other": "x",
		"sunspool:live:":      "",
	} {
		c.Do(t.Context(), c.B().Publish().Channel(channel).Message(text).Build())
	}
	good := storetest.At(storetest.Noon, 1)
	good.DeviceID = "other"
	text := encoded(good)
	c.Do(t.Context(), c.B().Publish().Channel("sunspool:live:other").Message(text).Build()) // nobody wants it
	c.Do(t.Context(), c.B().Publish().Channel("sunspool:live:roof").Message(text).Build())  // of another device
	time.Sleep(50 * time.Millisecond)
	for len(heard) > 0 {
		if s := <-heard; s.DeviceID != "roof" || s.PVPowerW != 5 {
			t.Errorf("heard %s", show(s))
		}
	}
	server.Kill()
	server.Start()
	services.Await(t, "it hears again", hears)
}

func TestPublishingNeverWaits(t *testing.T) {
	server := services.Redis(t)
	r := usable(t, &versions{}, server.URL(), time.Hour)
	server.Pause()
	began := time.Now()
	for range 100_000 {
		r.Publish(storetest.At(storetest.Noon, 1))
	}
	if took := time.Since(began); took > services.Patience { // Redis is away for as long as that
		t.Errorf("%v", took)
	}
}

// Whatever Redis does, Close ends everything that was started, soon.
func TestClosedRedisLeavesNothing(t *testing.T) {
	for name, spoil := range map[string]func(*services.RedisServer){
		"well": func(*services.RedisServer) {}, "hung": (*services.RedisServer).Pause, "dead": (*services.RedisServer).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			server := services.Redis(t)
			before := runtime.NumGoroutine()
			for range 3 {
				r, err := New(&versions{}, server.URL(), time.Hour, health.New(time.Now, slog.New(slog.DiscardHandler)).Link("redis"))
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				var heard atomic.Bool
				wg.Go(func() { r.Listen(ctx, func(string) bool { return true }, func(wire.Sample) { heard.Store(true) }) })
				if spoil != nil {
					services.Await(t, "it listens", func() bool {
						s := storetest.At(storetest.Noon, 1)
						s.DeviceID = "a"
						r.Publish(s)
						return heard.Load()
					})
					storetest.Latest(t, r, "a")
					if name != "well" {
						spoil(server)
						spoil = nil
					}
				}
				storetest.Latest(t, r, "a")
				stop()
				began := time.Now()
				wg.Wait()
				r.Close()
				if took := time.Since(began); took > 30*time.Second {
					t.Errorf("Close took %v", took)
				}
			}
			services.Await(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}
