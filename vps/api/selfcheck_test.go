package api

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/health"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
)

// hung is a store that answers no write, however long one waits.
type hung struct{ store.Samples }

func (hung) Check(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }

// full is a store that takes no write and says so.
type full struct{ store.Samples }

func (full) Check(context.Context) error { return errors.New("no space left on device") }

func TestWatchdogMissesAServerThatDoesNotAnswerItself(t *testing.T) {
	well := func(context.Context) error { return nil }
	ill := func(context.Context) error { return errors.New("no answer") }
	for name, c := range map[string]struct {
		answers func(context.Context) error
		wrap    func(store.Samples) store.Samples
		ownFile bool
		missed  string
		status  string
	}{
		"well":                       {well, nil, true, "", "ok: serving on here"},
		"does not answer":            {ill, nil, true, "serve", "ok"},
		"its file hangs":             {well, func(s store.Samples) store.Samples { return hung{s} }, true, "store", "degraded: store"},
		"a database elsewhere hangs": {well, func(s store.Samples) store.Samples { return hung{s} }, false, "", "degraded: store"},
		"its disk is full":           {well, func(s store.Samples) store.Samples { return full{s} }, true, "", "degraded: store"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				bolt, err := bolt.Open(filepath.Join(dir, "vps.db"))
				if err != nil {
					t.Fatal(err)
				}
				defer bolt.Close()
				s := &Server{Gate: request.Gate{Log: slog.New(slog.DiscardHandler)}, Devices: deviceinfo.Devices{Store: bolt}}
				if c.wrap != nil {
					s.Store = c.wrap(bolt)
				}
				pulses := new(health.Pulses)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { s.SelfCheck(ctx, "here", c.answers, c.ownFile, pulses); close(done) }()
				time.Sleep(time.Minute)
				if loop, _ := pulses.Stalled(); loop != "" {
					t.Errorf("%s is missed after a minute", loop)
				}
				time.Sleep(2 * time.Minute)
				if loop, _ := pulses.Stalled(); loop != c.missed {
					t.Errorf("%q is missed, want %q", loop, c.missed)
				}
				if line := s.status("here"); !strings.HasPrefix(line, c.status) {
					t.Errorf("the status is %q", line)
				}
				cancel()
				<-done
			})
		})
	}
}
