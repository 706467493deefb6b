package edge

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sunspool/edge/config"
	"sunspool/edge/pace"
	"sunspool/edge/report"
	"sunspool/edge/simulator"
	"sunspool/edge/spool"
	"sunspool/internal/testhost"
	"sunspool/settings"
)

var wearPolls = flag.Int("wear-polls", 36, "polls that BenchmarkEdgeWear measures, 5 s each")

const (
	wearDisks  = 3 // of each kind: the journal's timer has another phase on each
	wearWarmup = 6 // polls before it is measured
)

// writer is what has a disk to itself and makes a sample durable every 5 s until ctx ends.
type writer struct {
	name    string
	run     func(ctx context.Context, b *testing.B, dir string)
	samples func(dir string) int64 // so far
}

// BenchmarkEdgeWear counts what the whole edge costs a memory card at its real pace: bytes and flushes that reach the
// device of an ext4 with the blocks of a card, in the layout of the package (the health file in memory, also with
// SPOOL_COMMIT_INTERVAL_S=60) and in that of the container (all files in one folder), and beside them the spool alone and
// the least that is possible, a record that is appended and synced. The server takes all there is every 10 s.
//
// At this pace the filesystem adds a price of its own, which BenchmarkSpoolWear does not see: what a write changes in an
// inode, its time at least, goes through the journal within 5 s, with 12 kB and two flushes.
func BenchmarkEdgeWear(b *testing.B) {
	server := httptest.NewTLSServer(new(week))
	defer server.Close()
	ca := filepath.Join(b.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		b.Fatal(err)
	}
	memory := testhost.Tmpfs(b, 16)
	inMemory := func(dir string) string { return filepath.Join(memory.Dir, filepath.Base(dir)) }
	var appended, spooled counter
	writers := []writer{
		{"append", func(ctx context.Context, b *testing.B, dir string) { appendAtPace(ctx, b, dir, appended.of(dir)) }, appended.load},
		{"spool", func(ctx context.Context, b *testing.B, dir string) { spoolAtPace(ctx, b, dir, spooled.of(dir)) }, spooled.load},
		edgeWriter("package", config.Config{URL: server.URL, CAFile: ca, KeepDays: 7}, inMemory),
		edgeWriter("package-keeps-none", config.Config{URL: server.URL, CAFile: ca}, inMemory),
		edgeWriter("package-60s", config.Config{URL: server.URL, CAFile: ca, CommitS: 60, KeepDays: 7}, inMemory),
		edgeWriter("package-60s-keeps-none", config.Config{URL: server.URL, CAFile: ca, CommitS: 60}, inMemory),
		edgeWriter("container", config.Config{URL: server.URL, CAFile: ca, KeepDays: 7}, func(dir string) string { return dir }),
	}
	for b.Loop() {
		tolls := make([]testhost.Toll, len(writers))
		var all sync.WaitGroup
		var mu sync.Mutex
		for i, w := range writers {
			for n := range wearDisks {
				d := testhost.NewExt4(b, 256, 4096)
				all.Go(func() {
					time.Sleep(time.Duration(n) * pace.RestTime / wearDisks)
					cost := w.measure(b, d)
					mu.Lock()
					defer mu.Unlock()
					tolls[i].KB += cost.KB / wearDisks
					tolls[i].Flushes += cost.Flushes / wearDisks
				})
			}
		}
		all.Wait()
		for i, w := range writers {
			b.ReportMetric(tolls[i].KB, w.name+"-kB/sample")
			b.ReportMetric(tolls[i].Flushes, w.name+"-flushes/sample")
			b.ReportMetric(tolls[i].KB/tolls[0].KB, w.name+"-x-append-bytes")
			b.ReportMetric(tolls[i].Flushes/tolls[0].Flushes, w.name+"-x-append-flushes")
		}
		b.ReportMetric(0, "ns/op")
	}
}

// measure returns the price of a sample on the disk d.
func (w writer) measure(b *testing.B, d testhost.Disk) testhost.Toll {
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { w.run(ctx, b, d.Dir) })
	defer running.Wait()
	defer stop()
	time.Sleep(wearWarmup * pace.RestTime)
	before := w.samples(d.Dir)
	var after int64
	bytes, flushes := d.Traffic(b)
	time.Sleep(time.Duration(*wearPolls) * pace.RestTime)
	bytesAfter, flushesAfter := d.Traffic(b)
	if after = w.samples(d.Dir); after == before {
		b.Errorf("%s made no sample", w.name)
		return testhost.Toll{}
	}
	n := float64(after - before)
	return testhost.Toll{KB: float64(bytesAfter-bytes) / n / 1000, Flushes: float64(flushesAfter-flushes) / n}
}

// counter counts samples by folder.
type counter struct{ byDir sync.Map }

func (c *counter) of(dir string) *atomic.Int64 {
	n, _ := c.byDir.LoadOrStore(dir, new(atomic.Int64))
	return n.(*atomic.Int64)
}

func (c *counter) load(dir string) int64 { return c.of(dir).Load() }

// appendAtPace appends a record to a file and syncs it, every 5 s.
func appendAtPace(ctx context.Context, b *testing.B, dir string, n *atomic.Int64) {
	f, err := os.Create(filepath.Join(dir, "baseline"))
	if err != nil {
		b.Error(err)
		return
	}
	defer f.Close()
	record := (&spool.Record{Seq: 1, Sample: sampleAt(noon)}).Encode()
	for ; pace.Sleep(ctx, pace.RestTime+pace.Margin) == nil; n.Add(1) {
		if _, err := f.Write(record); err != nil {
			b.Error(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Error(err)
		}
	}
}

// spoolAtPace appends a sample to a spool every 5 s and settles two every 10 s.
func spoolAtPace(ctx context.Context, b *testing.B, dir string, n *atomic.Int64) {
	s, err := spool.Open(filepath.Join(dir, "spool.db"))
	if err != nil {
		b.Error(err)
		return
	}
	defer s.Close()
	for i := 0; pace.Sleep(ctx, pace.RestTime+pace.Margin) == nil; i++ {
		sample := sampleAt(noon.Add(time.Duration(i) * pace.RestTime))
		if err := s.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
			b.Error(err)
		}
		if n.Add(1)%2 == 0 {
			if err := s.Settle([]uint64{uint64(i), uint64(i + 1)}, nil); err != nil {
				b.Error(err)
			}
		}
	}
}

// edgeWriter is a whole edge with its spool on the disk, and its health file where place puts it.
func edgeWriter(name string, c config.Config, place func(dir string) string) writer {
	health := func(dir string) string { return filepath.Join(place(dir), "health.json") }
	return writer{name, func(ctx context.Context, b *testing.B, dir string) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Error(err)
			return
		}
		home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -2)})
		if err != nil {
			b.Error(err)
			return
		}
		sim, err := simulator.New(simulator.Options{Home: home})
		if err != nil {
			b.Error(err)
			return
		}
		served, stop := context.WithCancel(context.WithoutCancel(ctx)) // longer than the edge
		defer stop()
		go sim.Serve(served, listener)
		c := c
		c.Host, c.Port, c.Unit, c.PollS, c.GapMS, c.DeviceID = "127.0.0.1", listener.Addr().(*net.TCPAddr).Port, 1, 5, 20, "roof"
		c.Token, c.BatchSize, c.UploadS, c.MaxBackoffS = settings.Secret("t0ken-0123456789abcdef"), 30, 10, 300
		c.RawDebugEach, c.ClockTrust = 60, config.ClockAlways
		c.SpoolPath, c.HealthPath, c.Socket = filepath.Join(dir, "spool.db"), health(dir), filepath.Join(place(dir), "edge.sock")
		err = Run(ctx, c, "test", slog.New(slog.DiscardHandler))
		if err != nil {
			b.Error(fmt.Errorf("%s: %w", name, err))
		}
	}, func(dir string) int64 {
		var h report.Health
		if text, err := os.ReadFile(health(dir)); err == nil {
			json.Unmarshal(text, &h)
		}
		return h.Polls // each of which gives a sample
	}}
}
