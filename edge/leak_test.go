package edge

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/config"
	"sunspool/edge/simulator"
	"sunspool/edge/transport"
	"sunspool/settings"
	"sunspool/wire"
)

var (
	leakDays = flag.Int("leak-days", 7, "virtual days that TestAWeekOfFaultsLeaksNothing plays")
	leakPoll = flag.Float64("leak-poll", 150, "seconds between its polls; 5 is as in life, and takes two minutes")
)

// week is the way of one edge to one server in virtual time, with everything real that could leak: connections, the
// HTTP client and its pool, the spool's file, timers. Only the wires are pipes.
type week struct {
	t      *testing.T
	sim    *simulator.Server
	server *http.Server
	conns  chan net.Conn
	once   sync.Once

	mu    sync.Mutex
	rng   *rand.Rand
	fault string // of the way to the server

	taken atomic.Int64
}

// Accept, Close and Addr make it the server's listener.
func (w *week) Accept() (net.Conn, error) {
	c, ok := <-w.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (w *week) Close() error   { w.once.Do(func() { close(w.conns) }); return nil }
func (w *week) Addr() net.Addr { return &net.TCPAddr{} }

func (w *week) troubled() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault != "" && w.rng.IntN(2) == 0 {
		return w.fault
	}
	return ""
}

// dial is the way to the server.
func (w *week) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	switch w.troubled() {
	case "refused":
		return nil, &net.OpError{Op: "dial", Err: os.ErrPermission}
	case "black hole":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ours, theirs := net.Pipe()
	w.conns <- theirs
	return ours, nil
}

// ServeHTTP is a server of the contract, on a bad day.
func (w *week) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	trouble := w.troubled()
	var b wire.Batch
	if z, err := gzip.NewReader(r.Body); err == nil {
		json.NewDecoder(z).Decode(&b)
	}
	io.Copy(io.Discard, r.Body) // net/http notices that a caller has left once the body is read
	switch trouble {
	case "busy":
		out.WriteHeader(http.StatusServiceUnavailable)
		return
	case "silent":
		select {
		case <-r.Context().Done():
		case <-time.After(time.Hour):
		}
		return
	case "portal":
		io.WriteString(out, strings.Repeat("<html>", 1<<15))
		return
	case "drip": // an answer that does not end
		out.WriteHeader(http.StatusOK)
		for r.Context().Err() == nil {
			io.WriteString(out, " ")
			out.(http.Flusher).Flush()
			time.Sleep(5 * time.Second)
		}
		return
	case "cut":
		panic(http.ErrAbortHandler)
	}
	w.taken.Add(int64(len(b.Samples)))
	out.Header().Set("Content-Type", "application/json")
	n := len(b.Samples)
	json.NewEncoder(out).Encode(wire.Receipt{Inserted: n, Accepted: new(n), Duplicates: new(0), BatchID: b.ID})
}

var lineFaults = []string{"", "refused", "black hole", "busy", "silent", "portal", "drip", "cut"}

// worsen chooses what goes wrong for the next while.
func (w *week) worsen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = lineFaults[w.rng.IntN(len(lineFaults))]
	kinds := simulator.FaultKinds()
	f, err := simulator.ParseFault(strings.Replace(kinds[w.rng.IntN(len(kinds))], "refuse", "refuse=5213-5241", 1))
	if err != nil {
		w.t.Error(err)
	}
	f.Chance = 0.05
	w.sim.SetFaults(f)
}

// heal ends all faults.
func (w *week) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = ""
	w.sim.SetFaults()
}

// A week with every fault that there is, on both sides: once it is over there are as many goroutines and open files as
// on the first day, and none of ours when Run has returned.
func TestAWeekOfFaultsLeaksNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: a week of faults")
	}
	dir, err := os.MkdirTemp("/dev/shm", "sunspool-test-") // a sync costs nothing there
	if err != nil {
		dir = t.TempDir()
	}
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(noon))
		home, err := simulator.NewHome(simulator.HomeOptions{Seed: 1, Since: noon.AddDate(0, 0, -2)})
		if err != nil {
			t.Fatal(err)
		}
		sim, err := simulator.New(simulator.Options{Home: home, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		w := &week{t: t, sim: sim, conns: make(chan net.Conn), rng: rand.New(rand.NewPCG(1, 2))}
		w.server = &http.Server{Handler: w, ErrorLog: log.New(io.Discard, "", 0), ReadTimeout: 15 * time.Second, WriteTimeout: 2 * time.Hour, IdleTimeout: time.Minute}
		go w.server.Serve(w)
		e, err := New(config.Config{
			Host: "dongle", Port: 502, Unit: 1, PollS: *leakPoll, GapMS: 20, URL: "https://vps.example.org", Token: settings.Secret("t0ken-0123456789abcdef"),
			DeviceID: "roof", BatchSize: 30, UploadS: 2 * *leakPoll, MaxBackoffS: 300, ClockTrust: config.ClockAlways,
			SpoolPath: filepath.Join(dir, "spool.db"), HealthPath: filepath.Join(dir, "health.json"),
		}, "test", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		inTestTime(e)
		e.Inverter.Dongle.Link.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go sim.ServeConn(t.Context(), theirs)
			return ours, nil
		}
		transport := e.Uploader.Client.Transport.(*transport.Transport)
		transport.Dial, transport.Lookup = w.dial, func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
		}
		transport.Handshake = func(_ context.Context, conn net.Conn, _ string, _ []string) (net.Conn, error) { return conn, nil }

		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			e.Run(ctx)
		}()
		type count struct{ goroutines, files int }
		var days []count
		for range *leakDays + 1 {
			w.heal()
			time.Sleep(30 * time.Minute)
			synctest.Wait()
			days = append(days, count{runtime.NumGoroutine(), openFiles()})
			for range 47 {
				w.worsen()
				time.Sleep(30 * time.Minute)
			}
		}
		first := days[0]
		for i, d := range days {
			// A connection to the inverter has three goroutines, and is open for some seconds of each poll.
			if d.goroutines > first.goroutines+3+2 || d.files > first.files+1 {
				t.Errorf("day %d: %d goroutines and %d files, on the first day %d and %d", i, d.goroutines, d.files, first.goroutines, first.files)
			}
		}
		if t.Failed() {
			pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		}
		w.heal()
		cancel()
		<-stopped
		e.Spool.Close()
		e.Uploader.Client.CloseIdleConnections()
		w.server.Close()
		time.Sleep(10 * time.Second) // our own server's handlers notice: one may be between two drips
		synctest.Wait()
		if left := leaked(); left != "" {
			t.Errorf("Run has returned, and there still is\n%s", left)
		}
		a := sim.Audit()
		t.Logf("%v, %d polls, %d samples taken by the server, %d requests, %d connects, %d connections to the inverter",
			days, e.Report.Now().Polls, w.taken.Load(), e.Uploader.Requests.Load(), e.Inverter.Dongle.Link.Connects.Load(), a.Connects)
		if polls := 86400 / *leakPoll; w.taken.Load() < int64(polls*float64(*leakDays)/3) || a.Connects < *leakDays*20 {
			t.Error("the test tests nothing")
		}
	})
}

// openFiles counts the descriptors of this process, or 0 where the system does not say.
func openFiles() int {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(fds)
}

// ours returns the stacks of goroutines that run code of the edge, but for the one that asks.
func leaked() (left string) {
	buf := make([]byte, 1<<20)
	stacks := string(buf[:runtime.Stack(buf, true)])
	for i, g := range strings.Split(stacks, "\n\n") {
		if i > 0 && strings.Contains(g, "/edge.") && !strings.Contains(g, "testing.tRunner") {
			left += g + "\n\n"
		}
	}
	return left
}
