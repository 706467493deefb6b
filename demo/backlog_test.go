package demo

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"sunspool/edge"
	"sunspool/edge/config"
	"sunspool/edge/reading"
	"sunspool/edge/report"
	"sunspool/edge/simulator"
	"sunspool/edge/spool"
	"sunspool/internal/testservices"
	"sunspool/settings"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

var backlogDays = flag.Int("backlog-days", 1, "days of outage that TestBacklogDrainsWhilePolling begins with")

// What the edge promises of a backlog. A promise that is false here is measured and not yet kept.
const (
	freshWhileDraining = true // the newest sample comes first, and is never older than newestAge on the server
	compactsAfterwards = true // a commit after the drain is at most commitGrowth times that of a fresh spool
	smallWithItsSpool  = true // mostMemory holds with the pages of the mapped spool, which the system may take back

	newestAge    = 5*time.Second + time.Second + 6*time.Second // a poll, an upload, and what the two take
	commitGrowth = 1.5
	mostMemory   = 64 << 20 // bytes resident at the worst moment
)

// An outage of days is over: the real edge delivers what it has to the real server while it goes on polling. All is
// stored, once, and the edge stays small.
func TestBacklogDrainsWhilePolling(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: takes a minute")
	}
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -*backlogDays-3)})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	spool := filepath.Join(s.dir, "roof", "spool.db")
	n := *backlogDays * 17280
	past := backlog(home, pollOnce(t, home).Values, n)
	size := fillBacklog(t, past, spool)
	s.serve("t0ken-0123456789abcdef:roof")
	stalls := testservices.Stalls(t)
	sim, modbus := inverter(t, simulator.Options{Home: home})
	e := s.edge("roof", "t0ken-0123456789abcdef", modbus)

	drain := s.watchDrain(t, e, n)
	for wait := time.Now(); size > 100<<20 && time.Since(wait) < 30*time.Second; time.Sleep(time.Second) {
		if info, err := os.Stat(spool); err == nil && info.Size() < size/2 {
			break // it is made small between two polls
		}
	}
	if err := e.end(syscall.SIGTERM); err != nil {
		t.Errorf("told to stop the edge says %v", err)
	}
	if err := s.vps.end(syscall.SIGTERM); err != nil {
		t.Errorf("told to stop the vps says %v", err)
	}
	live := s.spooled("roof")
	s.storedOnce(t, "roof", past, slices.Values(live))
	usual, worst := stalls()
	if a := sim.Audit(); !polite(a, worst) {
		t.Errorf("the dongle was treated badly: %+v, while this machine was late by at most %v", a, worst)
	}
	if polled := int(drain.took/(5*time.Second)) - 3; len(live) < polled {
		t.Errorf("%d samples were made while draining, which took %v", len(live), drain.took)
	}
	if drain.anonymous > mostMemory || smallWithItsSpool && drain.memory > mostMemory {
		t.Errorf("the edge took %d MiB, of it %d MiB not of files", drain.memory>>20, drain.anonymous>>20)
	}
	if freshWhileDraining && drain.oldest > newestAge+20*usual+10*worst { // from the poll to the answer is many turns of three processes
		t.Errorf("the newest sample on the server was %v old, while this machine was late by %v, at most %v", drain.oldest, usual, worst)
	}
	after, fresh := commitBytes(t, spool), commitBytes(t, filepath.Join(t.TempDir(), "spool.db"))
	if compactsAfterwards && float64(after) > commitGrowth*float64(fresh) {
		t.Errorf("a commit writes %d bytes after the drain, %d to a fresh spool", after, fresh)
	}
	t.Logf("%d samples, spool of %d MiB, drained in %v: %.0f/s; %d polled meanwhile; newest on the server at most %v old; memory %d MiB, of it %d MiB not of files; a commit writes %d bytes afterwards, %d to a fresh spool",
		n, size>>20, drain.took.Round(time.Second/10), float64(n)/drain.took.Seconds(), len(live), drain.oldest.Round(time.Second), drain.memory>>20, drain.anonymous>>20, after, fresh)
}

// backlog is n samples of a home that end a minute ago, as large and as different as real ones. It can be gone through
// again.
func backlog(home *simulator.Home, values map[string]float64, n int) iter.Seq[wire.Sample] {
	end := time.Now().UTC().Truncate(time.Second).Add(-time.Minute)
	return func(yield func(wire.Sample) bool) {
		for plant := range home.History(end.Add(-time.Duration(n)*5*time.Second), end, 5*time.Second) {
			sample := plant.Sample("roof")
			sample.Values = maps.Clone(values)
			sample.Values["grid_frequency"], sample.Values["inverter_temperature"] = plant.Frequency, plant.InverterTemp
			sample.Values["battery_voltage"], sample.Values["battery_current"] = plant.BatteryVolts, plant.BatteryAmps
			if !yield(sample) {
				return
			}
		}
	}
}

// fillBacklog makes a spool at path that holds the samples, and returns its size. It is filled in memory, because each
// is a commit.
func fillBacklog(t *testing.T, samples iter.Seq[wire.Sample], path string) int64 {
	t.Helper()
	build := filepath.Join(inMemory(t), "spool.db")
	kept, err := spool.Open(build)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for sample := range samples {
		if err := kept.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d samples spooled in %v", kept.Waiting(), time.Since(begun).Round(time.Second/10))
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(build)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	size, err := io.Copy(to, from)
	if err := errors.Join(err, to.Sync()); err != nil {
		t.Fatal(err)
	}
	os.Remove(build)
	return size
}

// pollOnce is a sample as the edge makes it of the home's registers.
func pollOnce(t testing.TB, home *simulator.Home) wire.Sample {
	t.Helper()
	sim, err := simulator.New(simulator.Options{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	e, err := edge.New(config.Config{
		Host: "dongle", Port: 502, Unit: 1, PollS: 5, GapMS: 20, URL: "https://vps.example.org", Token: settings.Secret("t0ken-0123456789abcdef"),
		DeviceID: "roof", BatchSize: 30, UploadS: 10, MaxBackoffS: 300, SpoolPath: filepath.Join(t.TempDir(), "spool.db"),
	}, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Spool.Close()
	defer e.Inverter.Dongle.Close()
	e.Inverter.Dongle.Link.Settle = 0
	e.Inverter.Dongle.Link.Dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go sim.ServeConn(t.Context(), theirs)
		return ours, nil
	}
	r, err := e.Inverter.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sample, _, err := reading.Normalize(r)
	if err != nil {
		t.Fatal(err)
	}
	return sample
}

// drain is how a backlog went.
type drain struct {
	took              time.Duration
	oldest            time.Duration // that the newest sample on the server ever was
	memory, anonymous int64         // bytes, at the worst moment
}

// watchDrain waits until the edge has delivered its backlog of n, and looks at it meanwhile.
func (s *site) watchDrain(t *testing.T, e *process, n int) (d drain) {
	t.Helper()
	begun := time.Now()
	limit := time.Minute + time.Duration(n)*5*time.Millisecond
	socket := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "roof", "edge.sock"))
	}}}
	polls := int64(3) // until the end: two after the drain, because the spool is made small after a poll
	for drained := false; ; time.Sleep(100 * time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.cmd.Process.Pid))
		if err != nil {
			t.Skip("SKIPPED: this system does not tell the memory of a process")
		}
		d.memory, d.anonymous = max(d.memory, kilobytes(status, "VmHWM")), max(d.anonymous, kilobytes(status, "RssAnon"))
		var h report.Health
		var newest struct{ TS time.Time }
		if resp, err := socket.Get("http://edge/status"); err != nil {
			continue // it is not there yet
		} else {
			err = json.NewDecoder(resp.Body).Decode(&h)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		if resp, err := s.get("/v1/realtime?device_id=roof", "t0ken-0123456789abcdef"); err == nil && json.NewDecoder(resp.Body).Decode(&newest) == nil && h.Polls > 1 && !drained {
			d.oldest = max(d.oldest, time.Since(newest.TS))
		}
		if h.SpoolCount <= 3 && !drained {
			drained, d.took, polls = true, time.Since(begun), max(polls, h.Polls+2)
		}
		if drained && h.Polls >= polls {
			return d
		}
		if time.Since(begun) > limit {
			t.Fatalf("%d samples still wait after %v", h.SpoolCount, limit)
		}
	}
}

// kilobytes is a line of /proc/PID/status, in bytes.
func kilobytes(status []byte, name string) int64 {
	m := regexp.MustCompile(`(?m)^` + name + `:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

// commitBytes is what one more sample writes to the spool at path.
func commitBytes(t *testing.T, path string) int64 {
	t.Helper()
	kept, err := spool.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	const commits = 50
	before := bytesWritten(t)
	for i := range commits {
		sample := wire.Sample{DeviceID: "roof", Time: time.Now().Add(time.Duration(i) * time.Minute).UTC().Truncate(time.Millisecond), Count: 1}
		if err := kept.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
			t.Fatal(err)
		}
	}
	return (bytesWritten(t) - before) / commits
}

// bytesWritten is what this process has passed to system calls that write.
func bytesWritten(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip("SKIPPED: this system does not tell what a process writes")
	}
	fmt.Sscanf(string(regexp.MustCompile(`wchar: \d+`).Find(text)), "wchar: %d", &n)
	return n
}

// storedOnce fails unless the server, which has ended, has exactly these samples of the device, as they are.
func (s *site) storedOnce(t *testing.T, device string, parts ...iter.Seq[wire.Sample]) {
	t.Helper()
	disk, err := bolt.Open(filepath.Join(s.dir, "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	surplus := 0
	periods, err := disk.Periods(t.Context(), store.Query{Device: device, Resolution: store.Quarter})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range periods {
		surplus += int(p.Count)
	}
	missing := 0
	var chunk []wire.Sample
	flush := func() {
		inserted, err := disk.Insert(t.Context(), device, chunk) // what is there already is not inserted again
		if err != nil {
			t.Fatal(err)
		}
		missing, surplus, chunk = missing+inserted, surplus-len(chunk), chunk[:0]
	}
	for _, part := range parts {
		for sample := range part {
			if chunk = append(chunk, sample); len(chunk) == 10*wire.MaxSamples {
				flush()
			}
		}
	}
	flush()
	if n := disk.Conflicts(); missing != 0 || surplus != 0 || n != 0 {
		t.Errorf("%s: %d samples are not stored, %d rows are of no sample, %d rows differ from theirs", device, missing, surplus, n)
	}
}
