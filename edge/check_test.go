package edge

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/config"
	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/pace"
	"sunspool/edge/transport"
	"sunspool/health"
	"sunspool/settings"
)

func TestCheckBelievesOnlyAFreshAndHonestHealthFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands still
		dir, poll := t.TempDir(), 5*time.Second
		written := func(ago time.Duration, status string) string {
			b, err := json.Marshal(Health{Written: time.Now().Add(-ago), Status: status, Sentence: "all links answer\nand more"})
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		for name, c := range map[string]struct {
			text string
			want string // of the line, or of the error after a "!"
		}{
			"ok":              {written(5*time.Second, StateOK), "all links answer"},
			"heals by itself": {written(5*time.Second, StateDegraded), "degraded: all links answer"},
			"blocked":         {written(5*time.Second, StateBlocked), "!blocked: all links answer"},
			"just in time":    {written(65*time.Second, StateOK), "all links answer"},
			"stale":           {written(66*time.Second, StateOK), "!1m6s ago"},
			"from the future": {written(-2*time.Minute, StateOK), "!has not come yet"},
			"other JSON":      {`{"status":""}`, "!not a health file"},
			"half a file":     {`{"status":"o`, "!not a health file"},
			"empty":           {"", "!not a health file"},
		} {
			path := filepath.Join(dir, "health.json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			line, err := Check(path, poll, time.Now())
			got, want := line, c.want
			if err != nil {
				got = "!" + err.Error()
			}
			if (got == "" || got[0] == '!') != (want[0] == '!') || !strings.Contains(got, strings.TrimPrefix(want, "!")) || strings.Contains(got, "\n") {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if _, err := Check(filepath.Join(dir, "none"), poll, time.Now()); err == nil {
			t.Error("a file that is not there is healthy")
		}
	})
}

// The health file of one inverter leads to those of the others that the same process reads.
func TestCheckCoversAllInvertersOfTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands still
		dir := t.TempDir()
		write := func(name string, h Health) {
			b, err := json.Marshal(h)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		roof := Health{Written: time.Now(), Status: StateOK, Sentence: "all well", DeviceID: "roof", Others: []string{"garage.health.json"}, PollS: 10}
		garage := Health{Written: time.Now(), Status: StateOK, Sentence: "all well", DeviceID: "garage", Others: []string{"health.json"}, PollS: 10}
		for name, c := range map[string]struct {
			change func(h *Health)
			want   string // of the line, or of the error after a "!"
		}{
			"ok":           {func(*Health) {}, "roof: all well | garage: all well"},
			"degraded":     {func(h *Health) { h.Status = StateDegraded }, "garage: degraded: all well | roof: all well"},
			"blocked":      {func(h *Health) { h.Status = StateBlocked }, "!garage: blocked: all well | roof: all well"},
			"just in time": {func(h *Health) { h.Written = h.Written.Add(-70 * time.Second) }, "roof: all well | garage: all well"},
			"stale":        {func(h *Health) { h.Written = h.Written.Add(-71 * time.Second) }, "!garage.health.json 1m11s ago"},
			"not there":    {nil, "!garage.health.json"},
		} {
			other := garage
			write("health.json", roof)
			if c.change != nil {
				c.change(&other)
				write("garage.health.json", other)
			} else {
				os.Remove(filepath.Join(dir, "garage.health.json"))
			}
			got, err := Check(filepath.Join(dir, "health.json"), 5*time.Second, time.Now())
			if err != nil {
				got = "!" + err.Error()
			}
			if (got == "" || got[0] == '!') != (c.want[0] == '!') || !strings.Contains(got, strings.TrimPrefix(c.want, "!")) || strings.Contains(got, "\n") {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	})
}

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
		if _, err := Check(path, poll, time.Now()); err != nil {
			t.Fatalf("%v after the start: %v", time.Since(began), err)
		}
		if loop, _ := e.Pulses.Still(); loop != "" {
			t.Fatalf("%v after the start the watchdog is told that %s stands still", time.Since(began), loop)
		}
		if n := e.Report.polls.Load(); n != polls {
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
	e.Pulses = new(health.Pulses)
	e.Inverter.Dongle.Link.Dial = b.Dial
	e.Uploader.Client.Transport.(*transport.HTTPTransport).Lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, errors.New("no server is part of this")
	}
	return e
}

// Two files say how a container's health is checked. By both, whatever the phase of the check and however long it
// takes, a container is unhealthy within two intervals after the edge wrote its health file for the last time.
func TestStandstillIsNoticedWithinTwoIntervals(t *testing.T) {
	const slowestPoll = 10 * time.Second
	for path, of := range map[string]string{
		"../Dockerfile":      `HEALTHCHECK --interval=(\S+) --timeout=(\S+) --start-period=(\S+) --retries=(\d+) CMD \["/sunspool", "health", "edge"\]`,
		"docker-compose.yml": `test: \["CMD", "/sunspool", "health", "edge"\]\s+interval: (\S+)\s+timeout: (\S+)\s+start_period: (\S+)\s+retries: (\d+)`,
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(of).FindSubmatch(text)
		if found == nil {
			t.Fatalf("%s has no health check of the edge", path)
		}
		var d [3]time.Duration
		for i := range d {
			if d[i], err = time.ParseDuration(string(found[i+1])); err != nil {
				t.Fatal(err)
			}
		}
		interval, timeout, start := d[0], d[1], d[2]
		retries, _ := strconv.Atoi(string(found[4]))

		// The last good check begins when the file is just fresh enough; an interval passes between the end of a check
		// and the next.
		worst := slowestPoll + checkSlack + timeout + time.Duration(retries)*(interval+timeout)
		if worst > 2*interval {
			t.Errorf("%s: unhealthy %v after the last poll, two intervals are %v", path, worst, 2*interval)
		}
		if start < interval+timeout {
			t.Errorf("%s: the first check, at %v, counts already: the edge may have a spool to repair before it polls", path, interval)
		}
	}

	const gap = 5 * time.Second // at most, INTER_REGISTER_DELAY_MS
	afterLoss := pace.Margin + inverter.AnswerTime + inverter.SettleTime + gap + pace.Margin + inverter.AnswerTime
	inPoll := freshFor + inverter.RetryAfter + gap + pace.Margin + inverter.AnswerTime - 5*time.Second
	if left := checkSlack - max(afterLoss, inPoll); left < 30*time.Second {
		t.Errorf("only %v of the slack are left for the disk", left)
	}
}
