package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/config"
	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/report"
	"sunspool/edge/transport"
	"sunspool/health"
	"sunspool/settings"
)

// A dongle may need almost 5 s for every answer and refuse half of what it is asked, again and again: one poll then
// takes minutes, and in each of its seconds the check and the watchdog hear that the edge is at work.
func TestSlowDongleIsNotCalledAStandstill(t *testing.T) {
	for name, c := range map[string]struct {
		faults  string
		longest time.Duration // some poll takes as long at least
	}{
		"slow":                  {"slow=4900ms", 20 * time.Second},
		"slow to refuse":        {"slow=4900ms refuse=4949-4989 refuse=5213-5241 refuse=5600-5638", 2 * time.Minute},
		"slow, and exceptions":  {"slow=4900ms exception=6@0.5", 30 * time.Second},
		"silent half the time":  {"silent@0.5", 5 * time.Second},
		"closes, and is slow":   {"slow=4900ms off@0.3", 20 * time.Second},
		"silent for ever":       {"silent", 5 * time.Second},
		"late beyond patience":  {"late=7s@0.3", 5 * time.Second},
		"slow, breaks off late": {"slow=4900ms stall@0.2", 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("/dev/shm", "sunspool-test-") // a sync costs nothing there
			if err != nil {
				dir = t.TempDir()
			}
			defer os.RemoveAll(dir)
			synctest.Test(t, func(t *testing.T) { pollSlowly(t, dir, strings.Fields(c.faults), c.longest) })
		})
	}
}

func pollSlowly(t *testing.T, dir string, faults []string, longest time.Duration) {
	const poll = 5 * time.Second
	path := filepath.Join(dir, "health.json")
	e := watchedEdge(t, dir, faults...)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		e.Run(ctx)
	}()
	defer func() {
		cancel()
		<-stopped
	}()

	time.Sleep(poll + inverter.AnswerTime + inverter.SettleTime + inverter.AnswerTime + time.Second) // the first file
	polls, since, slowest := int64(0), time.Now(), time.Duration(0)
	for began := time.Now(); time.Since(began) < 20*time.Minute; time.Sleep(time.Second) {
		synctest.Wait()
		if _, err := report.Check(path, poll, time.Now()); err != nil {
			t.Fatalf("%v after the start: %v", time.Since(began), err)
		}
		if loop, _ := e.Pulses.Stalled(); loop != "" {
			t.Fatalf("%v after the start the watchdog is told that %s stands still", time.Since(began), loop)
		}
		if n := e.Report.Now().Polls; n != polls {
			polls, since = n, time.Now()
		}
		slowest = max(slowest, time.Since(since))
	}
	t.Logf("%d polls in 20 min, the longest took about %v", polls, slowest)
	if slowest < longest || polls < 5 {
		t.Error("the test tests nothing")
	}
}

// watchedEdge is an edge that is not run yet, with a simulated dongle, heartbeats, and no server to deliver to.
func watchedEdge(t *testing.T, dir string, faults ...string) *Edge {
	t.Helper()
	b := &invertertest.Bed{T: t, Sim: invertertest.OfImage(t, invertertest.HybridImage)}
	b.Faults(faults...)
	e, err := New(config.Config{
		Host: "dongle", Port: 502, Unit: 1, PollS: 5, GapMS: 20, URL: "https://vps.example.org",
		Token: settings.Secret("t0ken-0123456789abcdef"), DeviceID: "roof", BatchSize: 30, UploadS: 10, MaxBackoffS: 300, ClockTrust: config.ClockAlways,
		SpoolPath: filepath.Join(dir, "spool.db"), HealthPath: filepath.Join(dir, "health.json"),
	}, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Spool.Close() })
	inTestTime(e)
	e.Pulses = new(health.Pulses)
	e.Inverter.Dongle.Link.Dial = b.Dial
	e.Uploader.Client.Transport.(*transport.Transport).Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, errors.New("no server is part of this")
	}
	return e
}
